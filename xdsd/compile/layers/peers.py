"""Who the mesh's peers are: whom it trusts, and of whom a service consists."""

from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import cast

from xdsd.compile.endpoints import Takes, takes_mutual_tls
from xdsd.compile.graph import Graph
from xdsd.compile.layers.peer_policies import takes_plaintext_alone, workload_policy
from xdsd.compile.mesh_tls import NOBODY, SCHEME, Peers
from xdsd.compile.policy import Policy
from xdsd.compile.resolve import Client, Labels, settings
from xdsd.compile.upstream_tls import is_automatic, uses_mesh
from xdsd.compile.world import mesh_config_ref, read_endpoints, read_mesh_default, read_service
from xdsd.model.catalog import Endpoint, Port, ServiceKey
from xdsd.model.federation import Declared, DeclaredBundle
from xdsd.model.intent import MutualTLSMode
from xdsd.model.intent.certificate_data import CertificateData
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.model.shut_out import Turn, by_all_names

DEFAULT_ACCOUNT = "default"
"""The service account of endpoints of which nobody says another."""


def trusted(graph: Graph) -> tuple[str, ...]:
    """The trust domains of the mesh's peers, its own first."""
    aliases: tuple[str, ...] = read_mesh_default(graph, "trust_domain_aliases") or ()
    return tuple(dict.fromkeys((settings(graph).trust_domain, *aliases)))


def let_in(graph: Graph) -> tuple[str, ...]:
    """The same, with those that others vouch for and whose peers are let in."""
    declared = (domain for each in graph.ask(declared_trust).bundles for domain in each.trust_domains)
    told = cast("tuple[str, ...] | None", graph.read(("foreign-domains",))) or ()
    return tuple(dict.fromkeys((*graph.ask(trusted), *declared, *told)))


def declared_trust(graph: Graph) -> Declared:
    """Whom operators trust beside the mesh's own authority."""
    found = cast("tuple[CertificateData, ...]", read_mesh_default(graph, "ca_certificates") or ())
    bundles = (
        DeclaredBundle(each.trust_domains, each.pem or "", each.spiffe_bundle_url or "") for each in found
    )
    source = mesh_config_ref(settings(graph)) if found else None
    return Declared(graph.ask(trusted)[1:], tuple(bundles), source)


def peers_of(graph: Graph, key: ServiceKey) -> Peers:
    """Who the endpoints of a service may be: the accounts of those that proxies of the mesh stand before.

    While there are none it is anybody of the service's namespace.
    """
    answering = [each for each in read_endpoints(graph, key) if takes_mutual_tls(each)]
    accounts = {each.service_account or DEFAULT_ACCOUNT for each in answering if not each.identities}
    service = read_service(graph, key)
    elsewhere = sorted({name for each in answering for name in each.identities})
    names = (*(service.subject_alt_names if service else ()), *elsewhere)
    scopes = tuple(f"{SCHEME}{domain}/ns/{key.namespace}/sa/" for domain in graph.ask(trusted))
    declared = (*(f"{scope}{account}" for account in sorted(accounts) for scope in scopes), *names)
    holding = tuple(each for each in declared if not is_shut_out(graph, each))
    # Where all are shut out nobody answers, rather than whoever is of the namespace.
    return Peers(holding or (declared and (NOBODY,)), scopes, _turn(graph, declared))


def is_shut_out(graph: Graph, identity: str) -> bool:
    """True for an identity that is revoked, by its own name or, as an alias, by that of the mesh's trust domain."""
    if graph.read(("shut-out", identity)) is not None:
        return True
    own, *aliases = graph.ask(trusted)
    domain, slash, rest = identity.removeprefix(SCHEME).partition("/")
    return domain in aliases and graph.read(("shut-out", f"{SCHEME}{own}{slash}{rest}")) is not None


def shut_out(graph: Graph) -> tuple[str, ...]:
    """Everybody who is revoked; who is of the mesh's trust domain by the names of its aliases too."""
    found = cast("tuple[str, ...] | None", graph.read(("all-shut-out",))) or ()
    return by_all_names(found, graph.ask(trusted))


def door_turn(graph: Graph, namespace: str, labels: Labels) -> str:
    """What becomes another when connections end that came to a workload from whoever was revoked."""
    given = dict(labels)
    return _digest(graph, lambda turn: not turn.spared.spares(namespace, given))


def any_turn(graph: Graph) -> str:
    """The same where nobody is spared."""
    return _digest(graph, lambda _: True)


def _digest(graph: Graph, counts: Callable[[Turn], bool]) -> str:
    turns = cast("tuple[tuple[str, Turn], ...] | None", graph.read(("turns",))) or ()
    found = [(name.removeprefix(SCHEME), turn.id) for name, turn in turns if counts(turn)]
    return blake2b(repr(found).encode(), digest_size=6).hexdigest() if found else ""


def _turn(graph: Graph, identities: tuple[str, ...]) -> str:
    """The same of connections to these."""
    found = (cast("str | None", graph.read(("turn-of", each))) for each in identities)
    return " ".join(each for each in found if each)


def turn_of(graph: Graph, key: ServiceKey) -> str:
    """What becomes another when connections to a service's endpoints are to end."""
    turn: str = graph.ask(peers_of, key).turn
    return turn


def peers_for(graph: Graph, key: ServiceKey, policy: Policy, client: Client) -> Peers | None:
    """The same for clients to which it matters: those that have a certificate, where mutual TLS may be spoken."""
    if not client.mutual or not (uses_mesh(policy.tls) or (is_automatic(policy.tls) and is_on(graph))):
        return None
    return graph.ask(peers_of, key)


def mutual_endpoints(graph: Graph, key: ServiceKey, port: Port) -> Takes:
    """Which endpoints of a service's port take mutual TLS: those before which a proxy of the mesh is known to stand, but for
    those where a PeerAuthentication disables it.
    """
    if not graph.ask(takes_plaintext_alone, key.namespace):
        return takes_mutual_tls

    def takes(endpoint: Endpoint) -> bool:
        if not takes_mutual_tls(endpoint):
            return False
        policy = graph.ask(workload_policy, key.namespace, tuple(sorted(endpoint.labels.items())))
        return policy.of(endpoint.port_for(port)).mode is not MutualTLSMode.DISABLE

    return takes


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
