"""What a proxy is to be started with: ProxyConfigs over the MeshConfig's defaults, the closest word first.

A ProxyConfig with a selector is closer than one of the namespace, and that is closer than one of the root namespace. Of
several at one distance the oldest counts. Each value is decided for itself, each environment variable too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from xdsd.model.intent import MeshProxyConfig, Object, ProxyConfig
from xdsd.model.problem import Problem, Reason, Severity
from xdsd.model.started import ProxyStart

ProxyConfigObject = Object[ProxyConfig]


def proxy_start(defaults: MeshProxyConfig | None, configs: Iterable[ProxyConfig]) -> ProxyStart:
    """The values of the MeshConfig and of the ProxyConfigs over it, the closest last."""
    found = start_over(ProxyStart(), defaults or MeshProxyConfig())
    for config in configs:
        concurrency = found.concurrency if config.concurrency is None else config.concurrency
        found = replace(
            found, concurrency=concurrency, environment={**found.environment, **config.environment_variables}
        )
    return found


def start_over(start: ProxyStart, own: MeshProxyConfig) -> ProxyStart:
    """A start with what somebody closer says of it."""
    return ProxyStart(
        start.concurrency if own.concurrency is None else own.concurrency,
        {**start.environment, **own.proxy_metadata},
        {**start.runtime, **own.runtime_values},
        start.drain if own.drain_duration is None else own.drain_duration,
        start.admin_port if own.proxy_admin_port is None else own.proxy_admin_port,
    )


def applying(
    configs: Iterable[ProxyConfigObject], namespace: str, labels: Mapping[str, str], root: str
) -> tuple[ProxyConfigObject, ...]:
    """The ProxyConfigs that are for a workload, the closest last: at most one of each distance."""
    ordered = sorted(configs, key=lambda obj: obj.age)
    wide = [obj for obj in ordered if obj.spec.is_wide]
    selecting = (
        obj
        for obj in ordered
        if obj.metadata.namespace == namespace and not obj.spec.is_wide and obj.spec.selects(labels)
    )
    found = [
        *(
            next((obj for obj in wide if obj.metadata.namespace == owner), None)
            for owner in dict.fromkeys((root, namespace))
        ),
        next(selecting, None),
    ]
    return tuple(obj for obj in found if obj is not None)


def overruled(configs: Iterable[ProxyConfigObject], chosen: Iterable[ProxyConfigObject]) -> list[Problem]:
    """The ProxyConfigs that select a workload as well as a chosen one does, which is older."""
    selecting = next((obj for obj in chosen if not obj.spec.is_wide), None)
    if selecting is None:
        return []
    return [
        Problem(
            Reason.CONFLICT,
            f"has no effect on some workloads: {selecting.ref} is older and selects them too",
            obj.ref,
            "spec.selector",
            severity=Severity.WARNING,
        )
        for obj in configs
        if not obj.spec.is_wide and _labels(obj) != _labels(selecting)
    ]


def idle(configs: Iterable[ProxyConfigObject]) -> list[Problem]:
    """The ProxyConfigs of one namespace that have no effect because an older one is for the same workloads."""
    by_selector: dict[frozenset[tuple[str, str]], list[ProxyConfigObject]] = {}
    for obj in sorted(configs, key=lambda obj: obj.age):
        by_selector.setdefault(frozenset(_labels(obj).items()), []).append(obj)
    return [
        Problem(
            Reason.CONFLICT,
            f"has no effect: {older.ref} is older and for the same workloads",
            obj.ref,
            "spec.selector" if _labels(obj) else "spec",
            severity=Severity.WARNING,
        )
        for older, *others in by_selector.values()
        for obj in others
    ]


def _labels(obj: ProxyConfigObject) -> Mapping[str, str]:
    return obj.spec.selector.match_labels if obj.spec.selector else {}
