"""Other meshes, joined: Peers from the store, their streams, the catalog, and whom the mesh trusts.

What is decided is decided in ``xdsd.peering``; here are the tasks, the clock, the copies on disk for the next start, and the
sources ``peer:NAME`` of the catalog (``mesh:NAME`` for the names that the mesh's own services have everywhere).
"""

from xdsd.peers.peers import Mesh, Nothing, Peers

__all__ = ["Mesh", "Nothing", "Peers"]
