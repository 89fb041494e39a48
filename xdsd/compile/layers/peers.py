"""Who the mesh's peers are: whom it trusts, and of whom a service consists."""

from collections.abc import Iterator

from xdsd.compile.endpoints import takes_mutual_tls
from xdsd.compile.graph import Graph
from xdsd.compile.mesh_tls import SCHEME, Peers
from xdsd.compile.policy import Policy
from xdsd.compile.resolve import Client, settings
from xdsd.compile.upstream_tls import is_automatic, uses_mesh
from xdsd.compile.world import read_endpoints, read_mesh_default, read_service
from xdsd.model.catalog import ServiceKey
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity

DEFAULT_ACCOUNT = "default"
"""The service account of endpoints of which nobody says another."""


def trusted(graph: Graph) -> tuple[str, ...]:
    """The trust domains of the mesh's peers, its own first."""
    aliases: tuple[str, ...] = read_mesh_default(graph, "trust_domain_aliases") or ()
    return tuple(dict.fromkeys((settings(graph).trust_domain, *aliases)))


def peers_of(graph: Graph, key: ServiceKey) -> Peers:
    """Who the endpoints of a service may be: the accounts of those that proxies of the mesh stand before.

    While there are none it is anybody of the service's namespace.
    """
    accounts = {
        endpoint.service_account or DEFAULT_ACCOUNT
        for endpoint in read_endpoints(graph, key)
        if takes_mutual_tls(endpoint)
    }
    service = read_service(graph, key)
    names = service.subject_alt_names if service else ()
    scopes = tuple(f"{SCHEME}{domain}/ns/{key.namespace}/sa/" for domain in graph.ask(trusted))
    identities = (f"{scope}{account}" for account in sorted(accounts) for scope in scopes)
    return Peers((*identities, *names), scopes)


def peers_for(graph: Graph, key: ServiceKey, policy: Policy, client: Client) -> Peers | None:
    """The same for clients to which it matters: those that have a certificate, where mutual TLS may be spoken."""
    if not client.mutual or not (uses_mesh(policy.tls) or (is_automatic(policy.tls) and is_on(graph))):
        return None
    return graph.ask(peers_of, key)


def is_on(graph: Graph) -> bool:
    """Whether mutual TLS is spoken to those who take it without being asked for."""
    return read_mesh_default(graph, "enable_auto_mtls") is not False


def cut_off(rules: tuple[ObjectRef, ...], policy: Policy, client: Client, what: str) -> Iterator[Problem]:
    """Says of a rule that wants mutual TLS of the mesh that some clients cannot speak it, and reach nobody."""
    if uses_mesh(policy.tls) and not client.mutual and rules:
        message = (
            f"cuts proxies off from {what} that proved no identity: they have no certificate to show; connect them to the"
            " TLS port with a token or a certificate"
        )
        path = "spec.trafficPolicy.tls.mode"
        yield Problem(Reason.UNAVAILABLE, message, rules[0], path, severity=Severity.WARNING)
