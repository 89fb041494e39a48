"""Telemetry of the mesh, of a namespace and of a workload laid over each other, for one side.

Later entries go before earlier ones, and what is closer before what is wider. Access logs go to the providers that the
closest level names, and where an entry names none it is about those that the entry before it is about. Of spans each field
is what the last entry says that says something of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from xdsd.model.intent import AccessLogging, CustomTag, ModeSelector, Tracing, WorkloadMode

SAMPLING = 1.0
"""Percent of requests that are traced unless told otherwise, as published."""


@dataclass(frozen=True, slots=True)
class Logged:
    """An access log: who is told, and the CEL expression that is true of what; empty for all."""

    provider: str
    expression: str = ""


@dataclass(frozen=True, slots=True)
class Traced:
    """Spans: who is told, and how, as ``Tracing`` has it; with ``silent`` there are none."""

    provider: str = ""
    sampling: float = SAMPLING
    silent: bool = False
    tags: Mapping[str, CustomTag] = field(default_factory=dict)
    by_request_id: bool = True
    istio_tags: bool = True
    withheld: bool = False


def holds(match: ModeSelector | None, side: WorkloadMode) -> bool:
    """True if an entry holds on a side."""
    return match is None or match.mode in (None, WorkloadMode.CLIENT_AND_SERVER, side)


def merged_logs(
    levels: Iterable[Sequence[AccessLogging]], side: WorkloadMode, defaults: Sequence[str]
) -> tuple[Logged, ...]:
    """The access logs of one side, wider levels first; ``defaults`` are the providers where no level names any."""
    told = {name: Logged(name) for name in defaults}
    known = dict(told)
    inherited = tuple(defaults)
    for level in levels:
        entries = [entry for entry in level if holds(entry.match, side)]
        named = {ref.name for entry in entries for ref in entry.providers}
        if named:
            told = {name: log for name, log in told.items() if name in named}
        for entry in entries:
            inherited = tuple(ref.name for ref in entry.providers) or inherited
            for name in inherited:
                expression = entry.filter.expression if entry.filter else None
                before = known.get(name, Logged(name)) if not entry.providers else Logged(name)
                known[name] = Logged(name, expression) if expression else before
                told[name] = known[name]
                if entry.disabled:
                    del told[name]
    return tuple(sorted(told.values(), key=lambda log: log.provider))


def merged_tracing(
    levels: Iterable[Sequence[Tracing]], side: WorkloadMode, defaults: Sequence[str]
) -> Traced | None:
    """The spans of one side, wider levels first; None if nobody is told or none are made."""
    found = Traced(defaults[0] if defaults else "")
    for level in levels:
        for entry in level:
            if holds(entry.match, side):
                found = _over(found, entry)
    return found if found.provider and not found.silent else None


def _over(before: Traced, entry: Tracing) -> Traced:
    said: dict[str, Any] = {  # by the names of the fields, whose types differ
        "provider": entry.providers[0].name if entry.providers else None,
        "sampling": entry.random_sampling_percentage,
        "silent": entry.disable_span_reporting,
        "tags": entry.custom_tags or None,
        "by_request_id": entry.use_request_id_for_trace_sampling,
        "istio_tags": entry.enable_istio_tags,
        "withheld": entry.disable_context_propagation,
    }
    return replace(before, **{name: value for name, value in said.items() if value is not None})
