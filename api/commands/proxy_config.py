"""What one proxy says of itself, in the words of Istio's annotation ``proxy.istio.io/config``."""

from pathlib import Path

import click

from xdsd.manifest.checking import check_spec
from xdsd.manifest.limits import Limits
from xdsd.manifest.paths import write_path
from xdsd.manifest.reading import Mistake, read_documents
from xdsd.model.gateway_topology import GatewayTopology, topology_of
from xdsd.model.intent import MeshProxyConfig
from xdsd.model.mesh import Role


def proxy_config(_ctx: click.Context, _param: click.Parameter, value: str) -> MeshProxyConfig:
    """YAML or JSON, or with ``@`` before it the name of a file with it."""
    try:
        text = Path(value[1:]).read_bytes() if value.startswith("@") else value.encode()
    except OSError as error:
        raise click.BadParameter(f"{value[1:]} cannot be read: {error.strerror}") from error
    documents = list(read_documents(text, Limits()))
    if len(documents) != 1:
        raise click.BadParameter(
            "holds no map; write one, such as '{gatewayTopology: {numTrustedProxies: 1}}'"
        )
    (document,) = documents
    if isinstance(document, Mistake):
        raise click.BadParameter(f"line {document.line}: {document.message}")
    found = check_spec(MeshProxyConfig, document.value)
    if isinstance(found, list):
        told = (f"{write_path(fault.path)}: {fault.message}".removeprefix("spec.") for fault in found)
        raise click.BadParameter("; ".join(told).removeprefix("spec: "))
    if not isinstance(found, MeshProxyConfig):
        raise TypeError(f"{type(found)} was read as a MeshProxyConfig")
    return found


def own_topology(said: MeshProxyConfig, role: Role) -> GatewayTopology:
    """What stands in front of a gateway, as it says itself; ends the command for a sidecar that does."""
    if said.gateway_topology is not None and role is not Role.ROUTER:
        raise click.UsageError("gatewayTopology of --proxy-config is for gateways: add --type router")
    return topology_of(said.gateway_topology)
