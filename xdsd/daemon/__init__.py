"""The composition root: the only place that builds the parts of the daemon and joins them.

``assembly`` makes them, ``serving`` opens the ports and runs them until the daemon is told to stop; each of the other
modules is one of the joints.
"""

from xdsd.daemon.serving import serve

__all__ = ["serve"]
