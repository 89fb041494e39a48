"""Proxies that were started before a ProxyConfig, or the MeshConfig's defaultConfig, said what it says now.

Such values reach a proxy with its next start alone. A bootstrap written by ``xdsctl bootstrap --patched`` has in its
metadata what objects said then, so that their owners can be told where that is not what they say now.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from xdsd.compile.graph import Graph
from xdsd.compile.resolve import settings
from xdsd.compile.world import mesh_config_ref, read_mesh_default, read_object, read_proxy, read_refs
from xdsd.model.intent import ProxyConfig
from xdsd.model.mesh import Proxy
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.model.proxy_start import ProxyConfigObject, applying, overruled, proxy_start

Json = Mapping[str, Any]


def report_other_start(graph: Graph, node_id: str) -> None:
    """Reports, at each object that decides something, if a connected proxy was started without it."""
    proxy = read_proxy(graph, node_id)
    if proxy is None or proxy.start is None:
        return
    root = settings(graph).root_namespace
    owners = dict.fromkeys((root, proxy.namespace))
    refs = [ref for owner in owners for ref in read_refs(graph, "proxy-configs", owner)]
    defaults = read_mesh_default(graph, "default_config")
    if not refs and defaults is None:
        return
    found = (read_object(graph, ref) for ref in refs)
    configs = [obj for obj in found if obj is not None]
    chosen = applying(configs, proxy.namespace, proxy.labels, root)
    own = (obj for obj in configs if obj.metadata.namespace == proxy.namespace)
    selecting = [obj for obj in own if obj.spec.selects(proxy.labels)]
    for problem in overruled(selecting, chosen):
        graph.report(problem)
    wanted = proxy_start(defaults, [obj.spec for obj in chosen]).written()
    for name in _differing(wanted, proxy.start):
        owner = next((obj.ref for obj in reversed(chosen) if _decides(obj, name)), None)
        graph.report(_other(owner or mesh_config_ref(settings(graph)), proxy))


def _differing(wanted: Json, started: Json) -> Iterator[tuple[str, ...]]:
    """What is wanted and was not there at the start: fields, and keys of those that are maps."""
    for name, value in wanted.items():
        before = started.get(name)
        if isinstance(value, Mapping):
            known = before if isinstance(before, Mapping) else {}
            yield from ((name, key) for key, each in value.items() if known.get(key) != each)
        elif before != value:
            yield (name,)


def _decides(obj: ProxyConfigObject, name: tuple[str, ...]) -> bool:
    spec: ProxyConfig = obj.spec
    if name == ("concurrency",):
        return spec.concurrency is not None
    return name[0] == "proxyMetadata" and name[1] in spec.environment_variables


def _other(ref: ObjectRef, proxy: Proxy) -> Problem:
    message = (
        f"does not hold yet for some proxies of namespace {proxy.namespace}, which were started before: print their"
        " bootstraps anew with xdsctl bootstrap --patched, and restart them"
    )
    path = "spec.defaultConfig" if ref.kind == "MeshConfig" else "spec"
    return Problem(Reason.CONFLICT, message, ref, path, severity=Severity.WARNING)
