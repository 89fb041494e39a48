"""Header operations: what is set, added and removed on the way to a destination and back.

Pseudo headers and ``Host`` cannot be edited in Envoy. Setting ``Host`` or ``:authority`` of a request is a
host rewrite and therefore part of the route's action; anything else of that kind is refused where objects are
parsed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from envoy.config.core.v3.base_pb2 import (
    HeaderValue,
    HeaderValueOption,
)
from envoy.config.route.v3.route_components_pb2 import (
    Route,
    WeightedCluster,
)

from xdsd.model.intent import HeaderOperations, Headers

_AUTHORITY = frozenset({":authority", "host"})


@dataclass(frozen=True, slots=True)
class HeaderEdits:
    """Header operations in Envoy's terms; ``authority`` is the host that requests are to carry, or empty."""

    request_add: tuple[HeaderValueOption, ...] = ()
    request_remove: tuple[str, ...] = ()
    response_add: tuple[HeaderValueOption, ...] = ()
    response_remove: tuple[str, ...] = ()
    authority: str = ""


def header_edits(headers: Headers | None) -> HeaderEdits:
    """The edits that ``headers`` asks for: those that set before those that add, each by name."""
    if headers is None:
        return HeaderEdits()
    request, response = headers.request, headers.response
    return HeaderEdits(
        request_add=_additions(request),
        request_remove=_removals(request),
        response_add=_additions(response),
        response_remove=_removals(response),
        authority=_authority(request.set) or _authority(request.add) if request else "",
    )


def apply_edits(target: "Route | WeightedCluster.ClusterWeight", edits: HeaderEdits) -> None:
    """Appends the edits to a route or a weighted cluster."""
    target.request_headers_to_add.extend(edits.request_add)
    target.request_headers_to_remove.extend(edits.request_remove)
    target.response_headers_to_add.extend(edits.response_add)
    target.response_headers_to_remove.extend(edits.response_remove)


def _additions(operations: HeaderOperations | None) -> tuple[HeaderValueOption, ...]:
    if operations is None:
        return ()
    overwrite = HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    append = HeaderValueOption.APPEND_IF_EXISTS_OR_ADD
    return (*_options(operations.set, overwrite), *_options(operations.add, append))


def _options(values: Mapping[str, str], action: int) -> list[HeaderValueOption]:
    return [
        # An empty value is a value: without the flag Envoy would drop the header.
        HeaderValueOption(
            header=HeaderValue(key=name, value=value), append_action=action, keep_empty_value=not value
        )
        for name, value in sorted(values.items())
        if not _is_internal(name)
    ]


def _removals(operations: HeaderOperations | None) -> tuple[str, ...]:
    if operations is None:
        return ()
    return tuple(name for name in operations.remove if not _is_internal(name))


def _authority(values: Mapping[str, str]) -> str:
    return next((value for name, value in sorted(values.items()) if name.lower() in _AUTHORITY), "")


def _is_internal(name: str) -> bool:
    return name.startswith(":") or name.lower() == "host"
