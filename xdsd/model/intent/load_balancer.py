"""How an endpoint is picked."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from math import isqrt

from xdsd.model.intent.base import (
    Bool,
    Double,
    Finding,
    Message,
    Str,
    UInt32,
    UInt64,
    absent,
    many,
    missing,
    needed,
    shown,
    table,
    wrong,
)
from xdsd.model.intent.durations import Duration, DurationOrZero
from xdsd.model.intent.values import (
    LocalityPattern,
    MatchHeaderName,
    label_key_fault,
    label_value_fault,
)
from xdsd.model.problem import Reason


class SimpleLB(StrEnum):
    """How an endpoint is picked."""

    UNSPECIFIED = "UNSPECIFIED"
    LEAST_CONN = "LEAST_CONN"
    RANDOM = "RANDOM"
    PASSTHROUGH = "PASSTHROUGH"
    ROUND_ROBIN = "ROUND_ROBIN"
    LEAST_REQUEST = "LEAST_REQUEST"


class CookieAttribute(Message):
    """An attribute of a cookie that Envoy makes."""

    name: Str = needed("Attribute name.", min_length=1)
    value: Str | None = absent("Attribute value.")


class HTTPCookie(Message):
    """A cookie whose value is hashed; made by Envoy where the client has none and ``ttl`` is given."""

    name: Str = needed("Cookie name.", min_length=1)
    path: Str | None = absent("Path of the cookie.")
    ttl: DurationOrZero | None = absent("Lifetime of the cookie; 0s makes a session cookie.")
    attributes: tuple[CookieAttribute, ...] = many("More attributes of the cookie.")

    def findings(self) -> Iterator[Finding]:
        seen: set[str] = set()
        for index, attribute in enumerate(self.attributes):
            if attribute.name in seen:
                yield wrong(f"{shown(attribute.name)} is listed twice", "attributes", index, "name")
            seen.add(attribute.name)


MAX_RING = 8 * 1024 * 1024
MAX_TABLE = 5_000_011


class RingHash(Message):
    """Consistent hashing on a ring."""

    minimum_ring_size: UInt64 | None = absent(
        "Least number of points on the ring; 1024 if left out.", le=MAX_RING
    )


class MagLev(Message):
    """Consistent hashing by Maglev's table."""

    table_size: UInt64 | None = absent("Size of the table, a prime; 65537 if left out.", ge=1, lt=MAX_TABLE)

    def findings(self) -> Iterator[Finding]:
        if self.table_size is None:
            yield missing("is missing; give a prime such as 65537", "tableSize")
        elif not is_prime(self.table_size):
            yield wrong(f"{self.table_size} is no prime", "tableSize")


def is_prime(number: int) -> bool:
    """True for a prime; 1 counts, as Envoy has it."""
    return number < 4 or (
        number % 2 == 1 and all(number % factor for factor in range(3, isqrt(number) + 1, 2))
    )


class ConsistentHashLB(Message):
    """Requests of equal hash reach the same endpoint while endpoints stay."""

    at_most_one = (
        ("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"),
        ("ringHash", "maglev", "minimumRingSize"),
    )

    http_header_name: MatchHeaderName | None = absent("Hash this header.")
    http_cookie: HTTPCookie | None = absent("Hash this cookie.")
    use_source_ip: Bool | None = absent("Hash the source address.")
    http_query_parameter_name: Str | None = absent("Hash this query parameter.")
    ring_hash: RingHash | None = absent("Use a hash ring, the default.")
    maglev: MagLev | None = absent("Use Maglev's table.")
    minimum_ring_size: UInt64 | None = absent("Earlier place of ringHash.minimumRingSize.", le=MAX_RING)

    def findings(self) -> Iterator[Finding]:
        keys = ("http_header_name", "http_cookie", "use_source_ip", "http_query_parameter_name")
        if not any(self.is_set(field) for field in keys):
            yield missing(
                "hashes nothing; give httpHeaderName, httpCookie, useSourceIp or httpQueryParameterName"
            )
        if self.use_source_ip is False:
            yield wrong("is false, which hashes nothing; leave it out or write true", "useSourceIp")


TOPOLOGY = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone")


class Distribute(Message):
    """How traffic from one locality is spread over others."""

    from_: LocalityPattern | None = absent("Locality of the sender: region/zone/subzone, * as last part.")
    to: dict[LocalityPattern, UInt32] = table("Share of each locality in percent; the sum is 100.")

    def findings(self) -> Iterator[Finding]:
        if not self.from_:
            yield missing("is missing; name the sender's locality, or * for any", "from")
        for place in _covered(self.to):
            yield wrong("is covered by another locality of the list", "to", place)
        for place, share in self.to.items():
            if not 1 <= share <= 100:
                yield wrong(f"{share} is not between 1 and 100", "to", place, reason=Reason.OUT_OF_RANGE)
        if sum(self.to.values()) != 100 and all(1 <= share <= 100 for share in self.to.values()):
            yield missing(f"the shares add up to {sum(self.to.values())}, not to 100", "to")


def _covered(patterns: Iterable[str]) -> Iterator[str]:
    """The patterns that cover no locality that an earlier one does not, or that cover an earlier one."""
    earlier: list[list[str]] = []
    for pattern in patterns:
        parts = _fixed_parts(pattern)
        if any(parts[: len(other)] == other or other[: len(parts)] == parts for other in earlier):
            yield pattern
        earlier.append(parts)


def _fixed_parts(pattern: str) -> list[str]:
    return [part for part in pattern.split("/") if part != "*"]


class Failover(Message):
    """Which region takes over when another is unhealthy."""

    from_: Str | None = absent("Region of the sender.")
    to: Str | None = absent("Region that takes over.")

    def findings(self) -> Iterator[Finding]:
        for field, region in (("from", self.from_), ("to", self.to)):
            if region is None:
                yield missing("is missing; name a region", field)
            elif "/" in region or "*" in region:
                yield wrong(f"{shown(region)} is no region: zones and wildcards do not fail over", field)
        if self.to is not None and self.from_ == self.to:
            yield wrong("is the region itself; name another", "to")


class LocalityLoadBalancerSetting(Message):
    """Preference for near endpoints."""

    at_most_one = (("distribute", "failover"),)

    distribute: tuple[Distribute, ...] = many("Shares of localities.")
    failover: tuple[Failover, ...] = many("Regions that take over.")
    failover_priority: tuple[Str, ...] = many("Labels that order endpoints by likeness to the sender.")
    enabled: Bool | None = absent("Whether locality counts.", nullable=True)

    def findings(self) -> Iterator[Finding]:
        yield from _label_findings(self.failover_priority)
        for index, label in enumerate(self.failover_priority):
            if self.failover and label in TOPOLOGY:
                yield wrong(f"{label} is what failover decides; use one of them", "failoverPriority", index)
            elif self.distribute:
                yield wrong("distribute is set too, and leaves nothing to order", "failoverPriority", index)
        senders: list[list[str]] = []
        for index, each in enumerate(self.distribute):
            parts = _fixed_parts(each.from_ or "*")
            if any(parts[: len(other)] == other for other in senders):
                message = f"an earlier entry is for senders in {shown(each.from_)} already"
                yield wrong(message, "distribute", index, "from")
            senders.append(parts)
        yield from _region_findings(self.failover)


class ZoneAwareLoadBalancerSetting(Message):
    """Preference for the sender's zone, as far as its capacity goes."""

    enabled: Bool | None = absent("Whether zones count.", nullable=True)
    failover: tuple[Failover, ...] = many("Regions that take over.")
    failover_priority: tuple[Str, ...] = many("Labels that order endpoints by likeness to the sender.")
    min_cluster_size: UInt32 | None = absent("Endpoints needed until zones count.", nullable=True, ge=1)

    def findings(self) -> Iterator[Finding]:
        yield from _label_findings(self.failover_priority)
        for index, label in enumerate(self.failover_priority):
            if label in TOPOLOGY:
                yield wrong(f"{label} is what zone awareness decides itself", "failoverPriority", index)
        yield from _region_findings(self.failover)


def _label_findings(labels: Iterable[str]) -> Iterator[Finding]:
    """Entries are ``label`` or ``label=value``, each label once."""
    seen: set[str] = set()
    for index, entry in enumerate(labels):
        key, equals, value = entry.partition("=")
        fault = label_key_fault(key) or (label_value_fault(value) if equals else None)
        if fault is None and key in seen:
            fault = f"{shown(key)} is compared already"
        if fault:
            yield wrong(fault, "failoverPriority", index)
        seen.add(key)


def _region_findings(failover: Iterable[Failover]) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, each in enumerate(failover):
        if each.from_ in seen:
            yield wrong(f"an earlier entry is for {shown(each.from_)} already", "failover", index, "from")
        if each.from_:
            seen.add(each.from_)


class WarmupConfiguration(Message):
    """New endpoints get their share step by step."""

    duration: Duration = needed("How long an endpoint warms up.")
    minimum_percent: Double | None = absent("Share at the start, in percent.", nullable=True, ge=0, le=100)
    aggression: Double | None = absent("Curve of the share; 1 is a straight line.", nullable=True, ge=0)

    def findings(self) -> Iterator[Finding]:
        if self.aggression == 0:
            yield wrong("0 is not above 0", "aggression", reason=Reason.OUT_OF_RANGE)


class BackendUtilization(Message):
    """Weights from the load that endpoints report."""

    metric_names_for_computing_utilization: tuple[Str, ...] = many("Reported metrics to weigh by.")
    error_utilization_penalty_percent: UInt32 | None = absent("How much errors count, in percent.")
    weight_update_period: DurationOrZero | None = absent("Pause between changes of weights.")
    weight_expiration_period: DurationOrZero | None = absent("How long a report counts.")
    weight_stabilization_period: DurationOrZero | None = absent(
        "How long an endpoint reports until it counts."
    )


class LoadBalancerSettings(Message):
    """How an endpoint is picked, in one of three ways."""

    at_most_one = (
        ("simple", "consistentHash", "backendUtilization"),
        ("localityLbSetting", "zoneAwareLbSetting"),
        ("warmupDurationSecs", "warmup"),
    )

    simple: SimpleLB | None = absent("A policy without parameters.")
    consistent_hash: ConsistentHashLB | None = absent("Affinity by hash.")
    backend_utilization: BackendUtilization | None = absent("Weights from reported load.")
    locality_lb_setting: LocalityLoadBalancerSetting | None = absent("Preference for near endpoints.")
    zone_aware_lb_setting: ZoneAwareLoadBalancerSetting | None = absent("Preference for the own zone.")
    warmup_duration_secs: Duration | None = absent("Earlier place of warmup.duration.")
    warmup: WarmupConfiguration | None = absent("Slow start of new endpoints.")

    def findings(self) -> Iterator[Finding]:
        if not any(self.is_set(field) for field in type(self).model_fields):
            yield missing("is empty; give simple or consistentHash")
        zones = self.zone_aware_lb_setting
        if self.backend_utilization is not None and zones is not None and zones.enabled is not False:
            why = "is no choice beside backendUtilization: Envoy weighs zones or endpoints by it, not both"
            yield wrong(why, "zoneAwareLbSetting", reason=Reason.NOT_SUPPORTED)
