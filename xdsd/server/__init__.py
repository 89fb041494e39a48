"""The xDS server: performs on grpc.aio what ``xdsd.protocol`` decides.

All services share one port: the aggregated one and CDS, EDS, LDS, RDS and SDS of their own, each as delta and as
state of the world. The ``Fetch`` methods (polling over REST's shape) are not served: gRPC answers UNIMPLEMENTED.

A **session** is one stream's I/O: a coroutine that reads, and a task that writes while there is something to write, so
that reading goes on while a write is blocked. A session has at most one response with the transport; what a slow
client has not taken is merged, not queued.
"""

from xdsd.server.mesh import Mesh
from xdsd.server.server import XdsServer
from xdsd.server.settings import ServerSettings
from xdsd.server.status import ProxyStatus

__all__ = ["Mesh", "ProxyStatus", "ServerSettings", "XdsServer"]
