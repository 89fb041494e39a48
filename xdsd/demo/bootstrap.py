"""What each Envoy of the demo is started with: who it is, and where the daemon is."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from api.bootstrap import BootstrapOptions, bootstrap_json
from xdsd.demo.layout import GATEWAY, NAMESPACE, Instance, Layout
from xdsd.demo.manifests import labels
from xdsd.model.mesh import Interception, Role
from xdsd.settings import TcpAddress

Bootstrap = Mapping[str, Any]  # Envoy's Bootstrap message as JSON


def sidecar_bootstrap(layout: Layout, instance: Instance) -> Bootstrap:
    """The Envoy beside an instance: without redirection, all its listeners on the instance's address."""
    options = replace(
        _proxy(layout, Role.SIDECAR, instance.name, instance.address),
        labels=labels(instance),
        interception=Interception.NONE,
        http_proxy_port=layout.options.proxy_port,
        outbound_bind=instance.address,
    )
    return _with_own_admin(options)


def gateway_bootstrap(layout: Layout) -> Bootstrap:
    """The Envoy that browsers talk to."""
    options = _proxy(layout, Role.ROUTER, GATEWAY, layout.gateway_address)
    return _with_own_admin(replace(options, labels={"istio": GATEWAY}, outbound_bind=layout.options.address))


def _proxy(layout: Layout, role: Role, name: str, address: str) -> BootstrapOptions:
    return BootstrapOptions(
        role=role,
        name=name,
        namespace=NAMESPACE,
        address=address,
        xds_addresses=(TcpAddress("127.0.0.1", layout.options.xds_port),),
        admin_port=layout.options.envoy_port,
    )


def _with_own_admin(options: BootstrapOptions) -> Bootstrap:
    """The bootstrap with its admin pages on the proxy's own address: here several proxies share a machine."""
    config = bootstrap_json(options)
    address = {"socketAddress": {"address": options.address, "portValue": options.admin_port}}
    return {**config, "admin": {**config["admin"], "address": address}}
