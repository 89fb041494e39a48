"""Where proxies have their admin pages, as far as it is known."""

from xdsd.compile.graph import Graph
from xdsd.compile.world import read_mesh_default
from xdsd.model.admin_page import admin_port
from xdsd.model.mesh import Proxy

_STARTED = "proxyAdminPort"


def mesh_admin_port(graph: Graph) -> int:
    """The port of proxies that say nothing of it."""
    return admin_port(read_mesh_default(graph, "default_config"))


def proxy_admin_port(graph: Graph, proxy: Proxy) -> int:
    """The port of one proxy: what it says that it was started with, else what the mesh says."""
    started = (proxy.start or {}).get(_STARTED)
    if isinstance(started, int | float) and 0 < started < 65536:
        return int(started)
    return graph.ask(mesh_admin_port)
