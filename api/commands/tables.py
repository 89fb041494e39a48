"""Objects as rows, in the columns that the published resource definitions print."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from xdsd.model.declarer import SOURCE

Json = Mapping[str, Any]  # any object of intent as JSON

_COLUMNS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "DestinationRule": (("HOST", "host"),),
    "Gateway": (),
    "HealthCheck": (("HOST", "host"),),
    "Inspection": (("HOSTS", "hosts"),),
    "MeshConfig": (),
    "Peer": (("ADDRESSES", "addresses"), ("TRUST-DOMAIN", "trustDomain")),
    "ProxyConfig": (("SELECTOR", "selector"), ("CONCURRENCY", "concurrency")),
    "RateLimit": (("TARGETS", "targetRefs"),),
    "Residency": (("REGIONS", "regions"),),
    "ServiceEntry": (("HOSTS", "hosts"), ("LOCATION", "location"), ("RESOLUTION", "resolution")),
    "Sidecar": (),
    "Telemetry": (),
    "VirtualService": (("GATEWAYS", "gateways"), ("HOSTS", "hosts")),
    "WorkloadEntry": (("ADDRESS", "address"),),
    "WorkloadGroup": (),
}


_ADDRESSED = frozenset({"ServiceEntry"})


def columns(kind: str, *, namespaces: bool, wide: bool) -> tuple[str, ...]:
    """The header of a kind's table."""
    own = tuple(title for title, _ in _COLUMNS.get(kind, ()))
    more = (*(("ADDRESSES",) if kind in _ADDRESSED else ()), "GENERATION", "LABELS") if wide else ()
    return (
        *(("NAMESPACE",) if namespaces else ()),
        "NAME",
        *own,
        "AGE",
        *more,
        *(("SOURCE",) if wide else ()),
    )


def row(item: Json, now: datetime, *, name: str, namespaces: bool, wide: bool) -> tuple[str, ...]:
    """An object's cells; ``name`` is what stands in its first column."""
    metadata, spec = item["metadata"], item.get("spec", {})
    own = tuple(_cell(spec.get(field)) for _, field in _COLUMNS.get(item["kind"], ()))
    more: tuple[str, ...] = ()
    if wide:
        labels = ",".join(f"{key}={value}" for key, value in sorted(metadata.get("labels", {}).items()))
        found = (",".join(_addresses(item)),) if item["kind"] in _ADDRESSED else ()
        source = metadata.get("annotations", {}).get(SOURCE, "store")
        more = (*found, str(metadata.get("generation", "")), labels or "<none>", source)
    namespace = (metadata["namespace"],) if namespaces else ()
    return (*namespace, name, *own, age(metadata.get("creationTimestamp", ""), now), *more)


def _addresses(item: Json) -> Sequence[str]:
    """An entry's own addresses and those that the mesh gives to its hosts."""
    given = (each["value"] for each in item.get("status", {}).get("addresses", ()))
    return (*item.get("spec", {}).get("addresses", ()), *given)


def age(created: str, now: datetime) -> str:
    """How long ago, as kubectl says it: ``45s``, ``3m20s``, ``5h``, ``12d``."""
    try:
        past = now - datetime.fromisoformat(created)
    except (ValueError, TypeError):
        return "<unknown>"
    return duration(past)


def duration(past: timedelta) -> str:
    """Two units while they matter, one from there on."""
    seconds = max(0, int(past.total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    steps = (
        (120, f"{seconds}s"),
        (600, _two(minutes, "m", seconds % 60, "s")),
        (10_800, f"{minutes}m"),
        (28_800, _two(hours, "h", minutes % 60, "m")),
        (172_800, f"{hours}h"),
        (691_200, _two(days, "d", hours % 24, "h")),
        (730 * 86400, f"{days}d"),
    )
    return next((text for limit, text in steps if seconds < limit), f"{days // 365}y")


def now() -> datetime:
    """The time that ages are counted to."""
    return datetime.now(UTC)


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":")) if isinstance(value, Sequence) else str(value)
