"""Listening sockets that outlive the daemon, so that no connection is refused while it restarts.

A **kept** socket listens on the xDS address and belongs to the service manager as well: it comes from a ``.socket``
unit, or the daemon made it and put it into the manager's **fd store**. Either way it is the same socket before, during
and after a restart; who connects in between waits in its backlog. gRPC **adopts** it for as long as the daemon serves,
and **releases** it before it drains.

gRPC for Python only listens on addresses, never on a socket that is there already. Turned down were: SO_REUSEPORT with a
socket of gRPC's own beside the kept one (the kernel spreads connections over both, so that half of them would have to be
relayed, or a BPF program steer them; all sockets must belong to one user, which those of a ``.socket`` unit do not; and what
waits in the backlog of gRPC's own is reset when it closes), and a relay in front of everything (each byte to each proxy
would pass through Python twice).
"""

from xdsd.listening.adopt import Adopted, CannotAdoptError, adopt
from xdsd.listening.inherit import Inherited, inherited
from xdsd.listening.port import Port, open_port, open_ports

__all__ = [
    "Adopted",
    "CannotAdoptError",
    "Inherited",
    "Port",
    "adopt",
    "inherited",
    "open_port",
    "open_ports",
]
