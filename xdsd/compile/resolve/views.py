"""What proxies must have in common to share their outbound config."""

from typing import NamedTuple

from xdsd.compile.graph import Graph
from xdsd.compile.resolve.inspections import reads, tells_accounts
from xdsd.compile.resolve.sidecars import shapes_egress, sidecar_for
from xdsd.compile.resolve.visibility import Labels
from xdsd.compile.world import read_labels, read_proxy
from xdsd.model.catalog import ServiceKey
from xdsd.model.gateway_topology import UNSAID, GatewayTopology
from xdsd.model.mesh import Interception, Role
from xdsd.model.problem import ObjectRef


class Home(NamedTuple):
    """Whose credentials proxies may have. ``account`` is their service account where some credential of the namespace is not
    for all of them, and else empty.
    """

    namespace: str
    account: str = ""


class Client(NamedTuple):
    """What of proxies matters to the clusters that they have: whether they know where their clients wanted to go
    (``intercepted``), whether they have a certificate to show (``mutual``), and whose credentials they may have (``home``;
    None where no credential is asked for), as ``gateway`` or not. With ``reads`` they read what programs say to a service
    over TLS, and begin it anew.
    """

    intercepted: bool = True
    mutual: bool = False
    home: Home | None = None
    gateway: bool = False
    reads: bool = False


class View(NamedTuple):
    """What proxies must have in common to share their outbound config; labels only as far as a selector
    mentions them. ``dns`` is where they answer programs that look names up, as address and port; empty if they do not.
    With ``vhds`` they discover virtual hosts apart from route configurations.
    ``mutual`` is true of those that proved an identity, and so have a certificate to show. ``account`` is as in ``Home``.
    ``topology`` is what gateways say of what stands in front of them.
    """

    role: Role
    namespace: str
    labels: Labels
    sidecar: ObjectRef | None
    interception: Interception
    ipv6: bool = False
    bind: str = ""
    dns: str = ""
    vhds: bool = False
    mutual: bool = False
    account: str = ""
    topology: GatewayTopology = UNSAID

    @property
    def home(self) -> Home:
        """Whose credentials these proxies may have."""
        return Home(self.namespace, self.account)

    @property
    def client(self) -> Client:
        """What of these proxies matters to their clusters."""
        sidecar = self.role is Role.SIDECAR
        redirected = sidecar and self.interception is Interception.REDIRECT
        return Client(redirected, self.mutual, self.home, not sidecar)

    @property
    def virtual(self) -> bool:
        """True if programs may know services by the addresses that the mesh gives them, and are redirected from there."""
        return bool(self.dns) and self.interception is Interception.REDIRECT

    @property
    def wildcard(self) -> str:
        """Where these proxies listen unless told otherwise: gateways where their bootstrap says, else on every address."""
        return self.bind or ("::" if self.ipv6 else "0.0.0.0")


def reads_towards(graph: Graph, view: View, key: ServiceKey, port: int) -> bool:
    """True if a view's proxies read what their programs say to a port of a service over TLS."""
    if view.role is not Role.SIDECAR:
        return False
    return graph.ask(reads, view.namespace, view.account if view.mutual else None, key.hostname, port)


def client_towards(graph: Graph, view: View, key: ServiceKey, port: int) -> Client:
    """What of a view's proxies matters to the clusters of one port of a service."""
    return view.client._replace(reads=reads_towards(graph, view, key, port))


def view_of(graph: Graph, node_id: str) -> View | None:
    """The view that a connected proxy shares; None once it is gone."""
    proxy = read_proxy(graph, node_id)
    if proxy is None:
        return None
    name = "gateway-labels" if proxy.role is Role.ROUTER else "route-labels"
    mentioned = read_labels(graph, name)
    labels = tuple(sorted((key, value) for key, value in proxy.labels.items() if key in mentioned))
    sidecar = None
    if proxy.role is Role.SIDECAR:
        sidecar = graph.ask(sidecar_for, proxy.namespace, tuple(sorted(proxy.labels.items())))
        if sidecar is not None and not graph.ask(shapes_egress, sidecar):
            sidecar = None
    ipv6 = ":" in proxy.address
    bind, dns = (proxy.bind, "") if proxy.role is Role.ROUTER else ("", proxy.dns)
    found = View(proxy.role, proxy.namespace, labels, sidecar, proxy.interception, ipv6, bind, dns)
    found = found._replace(topology=proxy.topology)
    if proxy.identity is None:
        return found
    restricted = graph.read(("restricted-credentials", proxy.namespace)) or graph.ask(
        tells_accounts, proxy.namespace
    )
    return found._replace(mutual=True, account=proxy.identity.service_account if restricted else "")
