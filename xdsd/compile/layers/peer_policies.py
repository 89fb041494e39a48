"""Which PeerAuthentications count for a workload, and what connections it takes for that.

A port's own mode counts before the workload's, that before its namespace's, that before the mesh's; UNSET is what the
wider says, and where nobody says anything either kind of connection is taken. Of two of one scope the older counts.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

from xdsd.compile.graph import Graph
from xdsd.compile.peers import Undeclared, admits
from xdsd.compile.resolve import Labels, selects, settings
from xdsd.compile.world import read_refs, read_spec
from xdsd.model.intent import MutualTLS, MutualTLSMode, PeerAuthentication
from xdsd.model.mesh import Proxy
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity

INDEX = "peer-authentications"


class Decision(NamedTuple):
    """A mode, and the object that says so; None where nobody does."""

    mode: MutualTLSMode
    ref: ObjectRef | None


class PeerPolicy(NamedTuple):
    """What a workload takes in general, and on single ports."""

    general: Decision
    ports: tuple[tuple[int, Decision], ...] = ()

    def of(self, port: int) -> Decision:
        """What holds for a port."""
        return dict(self.ports).get(port, self.general)


_NOBODY = Decision(MutualTLSMode.PERMISSIVE, None)


def namespace_policy(graph: Graph, namespace: str) -> Decision:
    """The mode of all workloads of a namespace that no selector chooses."""
    decision = _NOBODY
    for owner in dict.fromkeys((settings(graph).root_namespace, namespace)):
        wide = wide_policies(graph, owner)
        if wide:
            decision = _said(peer_spec(graph, wide[0]).mtls, wide[0]) or decision
    return decision


def wide_policies(graph: Graph, namespace: str) -> list[ObjectRef]:
    """The PeerAuthentications of a namespace that select nothing in particular, the one that counts first."""
    return [ref for ref in read_refs(graph, INDEX, namespace) if peer_spec(graph, ref).is_wide]


def takes_plaintext_alone(graph: Graph, namespace: str) -> bool:
    """Whether some workload of a namespace is told to take no mutual TLS; while none is, nobody's labels matter."""
    if graph.ask(namespace_policy, namespace).mode is MutualTLSMode.DISABLE:
        return True
    specs = [peer_spec(graph, ref) for ref in read_refs(graph, INDEX, namespace)]
    return any(
        mutual is not None and mutual.mode is MutualTLSMode.DISABLE
        for spec in specs
        for mutual in (spec.mtls, *spec.port_level_mtls.values())
    )


def workload_policy(graph: Graph, namespace: str, labels: Labels) -> PeerPolicy:
    """What connections a workload of these labels takes."""
    general = graph.ask(namespace_policy, namespace)
    chosen = [ref for ref in read_refs(graph, INDEX, namespace) if _selects(graph, ref, labels)]
    if not chosen:
        return PeerPolicy(general)
    for ref in chosen[1:]:
        why = f"has no effect on some workload: {chosen[0]} is older and selects it too"
        graph.report(Problem(Reason.CONFLICT, why, ref, "spec.selector", severity=Severity.WARNING))
    spec = peer_spec(graph, chosen[0])
    general = _said(spec.mtls, chosen[0]) or general
    ports = sorted(
        (int(port), _said(mutual, chosen[0]) or general) for port, mutual in spec.port_level_mtls.items()
    )
    return PeerPolicy(general, tuple(ports))


def policy_for(graph: Graph, proxy: Proxy) -> PeerPolicy:
    """What connections the workload of a proxy takes."""
    return graph.ask(workload_policy, proxy.namespace, tuple(sorted(proxy.labels.items())))


def undeclared_ports(policy: PeerPolicy, *, proven: bool) -> Undeclared:
    """What a workload takes on ports that no service declares."""
    return Undeclared(
        admits(policy.general.mode, proven=proven),
        tuple((port, admits(decision.mode, proven=proven)) for port, decision in policy.ports),
    )


def unable(proxy: Proxy, policy: PeerPolicy, served: Sequence[int]) -> Iterator[Problem]:
    """Says of a proxy without an identity that it is to take mutual TLS alone, once an object that wants it."""
    wanted = [policy.general, *(policy.of(port) for port in served)]
    strict = {each.ref: None for each in wanted if each.mode is MutualTLSMode.STRICT and each.ref}
    for ref in strict:
        message = (
            f"closes ports of {proxy.namespace}/{proxy.name}: its proxy proved no identity, so it has no certificate to"
            " show; connect it to the TLS port with a token or a certificate"
        )
        yield Problem(Reason.UNAVAILABLE, message, ref, "spec", severity=Severity.WARNING)


def peer_spec(graph: Graph, ref: ObjectRef) -> PeerAuthentication:
    """The spec of a PeerAuthentication that an index named."""
    return cast("PeerAuthentication", read_spec(graph, ref))


def _selects(graph: Graph, ref: ObjectRef, labels: Labels) -> bool:
    spec = peer_spec(graph, ref)
    return (
        spec.selector is not None and not spec.is_wide and selects(spec.selector.match_labels, dict(labels))
    )


def _said(mutual: MutualTLS | None, ref: ObjectRef) -> Decision | None:
    if mutual is None or mutual.mode in (None, MutualTLSMode.UNSET):
        return None
    return Decision(mutual.mode, ref)
