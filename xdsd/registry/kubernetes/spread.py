"""Among which of its endpoints a Service has its callers spread. Pure.

``internalTrafficPolicy: Local`` precedes ``trafficDistribution``, as in the cluster itself, and that before the annotation
of clusters whose servers do not know the field. An ExternalName has no endpoints of its own.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from xdsd.model.catalog import Spread

FIELD = "trafficDistribution"
ANNOTATION = "networking.istio.io/traffic-distribution"

KNOWN: Mapping[str, Spread] = MappingProxyType(
    {
        "PreferSameZone": Spread.SAME_ZONE,
        "PreferClose": Spread.SAME_ZONE,
        "PreferSameNode": Spread.SAME_NODE,
    }
)
_ANNOTATED: Mapping[str, Spread] = MappingProxyType({word.lower(): each for word, each in KNOWN.items()})


def spread_of(spec: Mapping[str, Any], metadata: Mapping[str, Any]) -> Spread:
    """What a Service wants; words that are not known want nothing."""
    if spec.get("type") == "ExternalName":
        return Spread.ALL
    if spec.get("internalTrafficPolicy") == Spread.OWN_NODE:
        return Spread.OWN_NODE
    said = KNOWN.get(str(spec.get(FIELD) or ""))
    return said or _ANNOTATED.get(annotation_of(metadata).lower(), Spread.ALL)


def annotation_of(metadata: Mapping[str, Any]) -> str:
    """What the annotation says; nothing where there is none."""
    annotations = metadata.get("annotations")
    return str(annotations.get(ANNOTATION) or "") if isinstance(annotations, dict) else ""


def is_known(word: str) -> bool:
    """Whether the annotation may say that."""
    return word.lower() in _ANNOTATED
