"""Where proxies listen themselves: nothing else can be there. Of two listeners at one place Envoy takes the first that it
hears of, so a service on such a port could be had in the place of what all connections need.
"""

from collections.abc import Iterable, Iterator
from types import MappingProxyType

from xdsd.compile.graph import Graph
from xdsd.compile.layers.admin_pages import mesh_admin_port
from xdsd.compile.layers.scope import Claim
from xdsd.compile.names import VIRTUAL_INBOUND_PORT, VIRTUAL_OUTBOUND_PORT
from xdsd.compile.resolve import View
from xdsd.model.mesh import Interception
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity

_EVERY = frozenset({"0.0.0.0", "::"})
_REDIRECTED = MappingProxyType(
    {
        VIRTUAL_OUTBOUND_PORT: "programs' connections are redirected",
        VIRTUAL_INBOUND_PORT: "connections to programs are redirected",
    }
)


def own_port(graph: Graph, view: View, address: str, number: int, *, bound: bool) -> str:
    """What a view's proxies have at an address and port themselves, for operators; empty if nothing. ``bound`` is true of
    a listener that opens its port, which meets others that do.
    """
    if view.interception is Interception.REDIRECT and address in _EVERY and number in _REDIRECTED:
        return f"to which {_REDIRECTED[number]}"
    if not bound:
        return ""
    if (address in _EVERY or address == "127.0.0.1") and number == graph.ask(mesh_admin_port):
        return "where proxies have their admin pages"
    return "where proxies answer DNS" if view.dns and _place(view.dns) == (address, number) else ""


def not_served(number: int, claims: Iterable[Claim], what: str, *, bound: bool) -> Iterator[Problem]:
    """That services are not served on a port of proxies."""
    hint = "give it another port" if bound else "give it an address in spec.addresses or another port"
    for claim in dict.fromkeys(claims):
        yield Problem(
            Reason.CONFLICT,
            f"port {number} ({claim.port.protocol}) of {claim.key.hostname} is not served by some sidecars: it is a port"
            f" {what}; {hint}",
            ObjectRef("Service", *claim.key),
            severity=Severity.WARNING,
        )


def _place(dns: str) -> tuple[str, int]:
    address, _, port = dns.rpartition(":")
    return address.strip("[]"), int(port)
