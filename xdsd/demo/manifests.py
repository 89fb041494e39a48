"""The demo's objects: what stands in its machines folder, what it applies, and what the user may try.

Services and workloads are written as files that the daemon watches, since that is how machines come into a
mesh. The rest is applied like any operator would. The exercises are the well-known sample's, in our own
words.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import yaml

from xdsd.demo.layout import GATEWAY, NAMESPACE, Instance, Layout

_API = "networking.istio.io/v1"
Manifest = Mapping[str, Any]  # an object as YAML holds it


def machines(layout: Layout) -> dict[str, str]:
    """File name to content: a file a service, with its ServiceEntry and its instances' WorkloadEntries."""
    return {
        f"{service}.yaml": dump(
            _service(layout, service),
            *(_workload(layout, each) for each in layout.instances if each.service == service),
        )
        for service in layout.services
    }


def initial(layout: Layout) -> dict[str, str]:
    """File name to content: what the demo applies before any traffic."""
    return {
        "sidecars.yaml": dump(*(_sidecar(layout, instance) for instance in layout.instances)),
        "gateway.yaml": dump(_gateway(layout), _gateway_routes(layout)),
        "subsets.yaml": _exercise("subsets.yaml"),
    }


def exercises() -> dict[str, str]:
    """File name to content: what the user may apply to see a change."""
    names = sorted(each.name for each in (files("xdsd.demo") / "objects").iterdir())
    return {name: _exercise(name) for name in names if name.endswith(".yaml") and name != "subsets.yaml"}


def dump(*manifests: Manifest) -> str:
    """Objects as one YAML file."""
    return yaml.safe_dump_all(manifests, sort_keys=False)


def hostname(service: str) -> str:
    """A service's full name, which the objects' short host names stand for."""
    return f"{service}.{NAMESPACE}.svc.cluster.local"


def _exercise(name: str) -> str:
    return (files("xdsd.demo") / "objects" / name).read_text(encoding="utf-8")


def _object(kind: str, name: str, spec: Mapping[str, Any]) -> Manifest:
    return {
        "apiVersion": _API,
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": dict(spec),
    }


def _service(layout: Layout, service: str) -> Manifest:
    return _object(
        "ServiceEntry",
        service,
        {
            "hosts": [hostname(service)],
            "ports": [{"number": layout.options.service_port, "name": "http", "protocol": "HTTP"}],
            "location": "MESH_INTERNAL",
            "resolution": "STATIC",
            "workloadSelector": {"labels": {"app": service}},
        },
    )


def labels(instance: Instance) -> dict[str, str]:
    """What selectors and subsets tell instances apart by."""
    return {"app": instance.service, "version": instance.version}


def _workload(layout: Layout, instance: Instance) -> Manifest:
    ports = {"http": layout.options.service_port}
    return _object(
        "WorkloadEntry",
        instance.name,
        {"address": instance.address, "labels": labels(instance), "ports": ports},
    )


def _sidecar(layout: Layout, instance: Instance) -> Manifest:
    ingress = {
        "port": {"number": layout.options.service_port, "name": "http", "protocol": "HTTP"},
        "bind": instance.address,
        "defaultEndpoint": f"127.0.0.1:{instance.app_port}",
    }
    spec = {"workloadSelector": {"labels": labels(instance)}, "ingress": [ingress]}
    return _object("Sidecar", instance.name, spec)


def _gateway(layout: Layout) -> Manifest:
    server = {
        "port": {"number": layout.options.port, "name": "http", "protocol": "HTTP"},
        "bind": layout.options.address,
        "hosts": ["*"],
    }
    return _object("Gateway", "bookinfo-gateway", {"selector": {"istio": GATEWAY}, "servers": [server]})


def _gateway_routes(layout: Layout) -> Manifest:
    uris = [
        {"exact": "/productpage"},
        {"prefix": "/static"},
        {"exact": "/login"},
        {"exact": "/logout"},
        {"prefix": "/api/v1/products"},
    ]
    destination = {"host": "productpage", "port": {"number": layout.options.service_port}}
    route = {"match": [{"uri": uri} for uri in uris], "route": [{"destination": destination}]}
    return _object(
        "VirtualService", "bookinfo", {"hosts": ["*"], "gateways": ["bookinfo-gateway"], "http": [route]}
    )
