"""What operators decide, as queries."""

from typing import cast

from xdsd.compile.graph import Graph
from xdsd.compile.listener_settings import ListenerSettings


def listener_settings(graph: Graph) -> ListenerSettings:
    """What operators decide about every listener."""
    return cast("ListenerSettings", graph.read(("listener-settings",)))
