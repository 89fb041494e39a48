"""What Telemetry says in vain: providers that the mesh does not have, or that are for something else.

Such an object is valid and the rest of it holds. Its author should know what it does not do.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from xdsd.model.intent import DefaultProviders, MeshConfig, ProviderRef, Telemetry
from xdsd.model.intent.cel import strangers
from xdsd.model.intent.extension_provider import BUILT_IN, MeshExtensionProvider
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity

PROMETHEUS = "prometheus"
"""The provider of statistics that there is without being declared: each proxy's admin page."""

_FIT: Mapping[str, Callable[[MeshExtensionProvider], bool]] = MappingProxyType(
    {
        "access logs": lambda provider: provider.logger is not None,
        "spans": lambda provider: provider.tracer is not None,
        "statistics": lambda provider: provider.prometheus is not None,
    }
)
_OWN = MappingProxyType({"access logs": BUILT_IN, "statistics": PROMETHEUS})


def vain_telemetry(spec: Telemetry, ref: ObjectRef, mesh: MeshConfig) -> Iterator[Problem]:
    """Warnings about a Telemetry beside the MeshConfig, in the order of their paths."""
    known = mesh.extension_providers
    for index, log in enumerate(spec.access_logging):
        path = f"spec.accessLogging[{index}]"
        yield from _refs(log.providers, "access logs", known, f"{path}.providers", ref)
        if log.disabled and log.filter is not None:
            yield _warning("has no effect beside disabled", f"{path}.filter", ref)
        for name in dict.fromkeys(strangers(log.filter.expression or "")) if log.filter else ():
            message = f"{name} is no attribute that Envoy has, so what asks for it is never logged"
            yield _warning(message, f"{path}.filter.expression", ref)
    for index, spans in enumerate(spec.tracing):
        path = f"spec.tracing[{index}].providers"
        yield from _refs(spans.providers[:1], "spans", known, path, ref)
        for at in range(1, len(spans.providers)):
            yield _warning("has no effect: spans go to one provider, the first", f"{path}[{at}]", ref)
    for index, metrics in enumerate(spec.metrics):
        yield from _refs(metrics.providers, "statistics", known, f"spec.metrics[{index}].providers", ref)


def vain_defaults(spec: MeshConfig, ref: ObjectRef) -> Iterator[Problem]:
    """Warnings about a MeshConfig's default providers."""
    said = spec.default_providers or DefaultProviders()
    for field, names, what in (
        ("accessLogging", said.access_logging, "access logs"),
        ("tracing", said.tracing[:1], "spans"),
        ("metrics", said.metrics, "statistics"),
    ):
        for index, name in enumerate(names):
            fault = _fault(name, what, spec.extension_providers)
            if fault:
                yield _warning(fault, f"spec.defaultProviders.{field}[{index}]", ref)
    for index in range(1, len(said.tracing)):
        message = "has no effect: spans go to one provider, the first"
        yield _warning(message, f"spec.defaultProviders.tracing[{index}]", ref)


def _refs(
    providers: Sequence[ProviderRef],
    what: str,
    known: Sequence[MeshExtensionProvider],
    path: str,
    ref: ObjectRef,
) -> Iterator[Problem]:
    for index, provider in enumerate(providers):
        fault = _fault(provider.name, what, known)
        if fault:
            yield _warning(fault, f"{path}[{index}].name", ref)


def _fault(name: str, what: str, known: Sequence[MeshExtensionProvider]) -> str:
    """Says why a provider is told nothing, or is empty."""
    found = next((each for each in known if each.name == name), None)
    if found is None:
        missing = f"the MeshConfig declares no provider {name!r}, so it is told no {what}"
        return "" if name == _OWN.get(what) else missing
    return (
        "" if _FIT[what](found) else f"the provider {name!r} is for something else, so it is told no {what}"
    )


def _warning(message: str, path: str, ref: ObjectRef) -> Problem:
    reason = Reason.CONFLICT if message.startswith("has no effect") else Reason.BROKEN_REFERENCE
    return Problem(reason, message, ref, path, severity=Severity.WARNING)
