"""What DestinationRules say of the connections of a caller to a port of a service."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from xdsd.model.catalog import ServiceKey
from xdsd.model.hosts import resolve_host
from xdsd.model.intent import ClientTLSMode, DestinationRule, Object, SimpleLB
from xdsd.model.problem import ObjectRef

Rule = Object[DestinationRule]


@dataclass(frozen=True, slots=True)
class Client:
    """Whose proxy connects: its namespace, and the labels of its workload as far as they are known."""

    namespace: str
    labels: tuple[tuple[str, str], ...] = ()


class Ruling(NamedTuple):
    """How a connection is secured, None where no rule says it; ``by`` is the rule that is for it. A connection that
    ``passes`` goes to the address that its client asked for, of which nothing else is known.
    """

    mode: ClientTLSMode | None = None
    by: ObjectRef | None = None
    passes: bool = False


_UNRULED = Ruling()


class Rules:
    """The DestinationRules of a mesh, by their hosts. ``exported`` is to whom those are exported that do not say it."""

    def __init__(self, rules: Iterable[Rule], domain: str, root: str, exported: tuple[str, ...]) -> None:
        self._root = root
        self._exported = exported
        self._exact: dict[str, list[Rule]] = defaultdict(list)
        self._wild: list[tuple[str, Rule]] = []
        for rule in sorted(rules, key=lambda each: each.age):
            host = resolve_host(rule.spec.host, rule.metadata.namespace, domain).lower()
            if host.startswith("*"):
                self._wild.append((host, rule))
            else:
                self._exact[host].append(rule)
        self._wild.sort(key=lambda pair: -len(pair[0]))

    def about(self, hostname: str) -> tuple[Rule, ...]:
        """Those that are for a host, the closest name first and of these the oldest."""
        name = hostname.lower()
        return (*self._exact.get(name, ()), *(rule for host, rule in self._wild if name.endswith(host[1:])))

    def ruling(self, candidates: tuple[Rule, ...], client: Client, key: ServiceKey, port: int) -> Ruling:
        """What those ``about`` a host say to a client: the rules of its own namespace count first, then those of the
        service's, then those of the root; in each the closest host, and of one host those for the workload alone.
        """
        for owner in dict.fromkeys((client.namespace, key.namespace, self._root)):
            found = [
                each for each in candidates if each.metadata.namespace == owner and self._is_for(each, client)
            ]
            if found:
                closest = [each for each in found if _is_wild(each) == _is_wild(found[0])]
                chosen = next((each for each in closest if _selector(each)), closest[0])
                return _said(chosen, port)
        return _UNRULED

    def _is_for(self, rule: Rule, client: Client) -> bool:
        namespace, wanted = rule.metadata.namespace, _selector(rule)
        exported = rule.spec.export_to or self._exported or ("*",)
        if not any(
            each in ("*", client.namespace) or (each == "." and namespace == client.namespace)
            for each in exported
        ):
            return False
        return not wanted or (namespace == client.namespace and wanted.items() <= dict(client.labels).items())


def _said(rule: Rule, port: int) -> Ruling:
    policy = rule.spec.traffic_policy
    if policy is None:
        return Ruling(None, rule.ref)
    own = next((each for each in policy.port_level_settings if each.port and each.port.number == port), None)
    said = policy if own is None else own
    tls, balancer = said.tls, said.load_balancer
    passes = balancer is not None and balancer.simple is SimpleLB.PASSTHROUGH
    return Ruling(tls.mode if tls else None, rule.ref, passes)


def _selector(rule: Rule) -> Mapping[str, str]:
    return rule.spec.workload_selector.match_labels if rule.spec.workload_selector else {}


def _is_wild(rule: Rule) -> bool:
    return rule.spec.host.startswith("*")
