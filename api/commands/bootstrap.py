"""``xdsctl bootstrap``: an Envoy's bootstrap, ready for ``envoy -c``."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic_core import PydanticCustomError

from api.commands.connection import Connection, pass_connection
from api.commands.output import to_json, to_yaml
from api.commands.problems import warn
from api.commands.starting import command_line, warn_of_covered
from api.commands.starting import environment_file as unit_environment
from api.commands.xds_tls import daemons, tls_options, xds_tls
from xdsd.model.role import Interception, Role
from xdsd.model.started import DEFAULT_ADMIN_PORT, ProxyStart
from xdsd.setting_values import Address, TcpAddress, parse_address, parse_resolver

if TYPE_CHECKING:
    from xdsd.manifest import AnyObject
    from xdsd.model.intent import MeshProxyConfig

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
PROXY_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")

_OPEN_PROXY = (
    "whoever reaches {address}:{port} can send requests to every service as this workload, with its identity, and under"
    " ALLOW_ANY anywhere else; give --outbound-bind an address of loopback unless that is meant"
)


def _labels(_ctx: click.Context, _param: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    found = {}
    for pair in ",".join(values).split(","):
        key, equals, value = pair.partition("=")
        if pair and not (key and equals):
            raise click.BadParameter(f"{pair!r} is not KEY=VALUE")
        if pair:
            found[key.strip()] = value.strip()
    return found


def _ip(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    try:
        return str(ip_address(value)) if value else ""
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not an IP address") from error


def _ip_and_port(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if value and not re.search(r":[0-9]+$", value):
        raise click.BadParameter(f"{value!r} names no port; write IP:PORT")
    try:
        return parse_resolver(value) if value else ""
    except PydanticCustomError as error:
        raise click.BadParameter(f"{value!r} is not IP:PORT") from error


def xds_addresses_of(
    _ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> tuple[Address, ...]:
    """Addresses of daemons, as an option gives them."""
    addresses = tuple(map(_xds_address, dict.fromkeys(values)))
    pipes = [each for each in addresses if not isinstance(each, TcpAddress)]
    if pipes and len(pipes) < len(addresses):
        raise click.BadParameter(
            "sockets and ports cannot be mixed: Envoy keeps them in clusters of their own"
        )
    return addresses


def _xds_address(value: str) -> Address:
    try:
        return parse_address(value)
    except PydanticCustomError as error:
        raise click.BadParameter(error.message()) from error


def _proxy_config(ctx: click.Context, param: click.Parameter, value: str) -> "MeshProxyConfig | None":
    if not value:
        return None
    from api.commands.proxy_config import proxy_config  # noqa: PLC0415 - imports the kinds of objects

    return proxy_config(ctx, param, value)


@click.command(context_settings={"show_default": True})
@click.option(
    "--type",
    "role",
    type=click.Choice([role.value for role in Role]),
    default=Role.SIDECAR.value,
    help="router is a gateway.",
)
@click.option(
    "--name", "--id", "name", required=True, help="The workload instance's name, such as reviews-v1."
)
@click.option("-n", "--namespace", default="default", help="Its namespace.")
@click.option("--address", default="127.0.0.1", callback=_ip, help="The IP on which the mesh knows it.")
@click.option("--labels", multiple=True, callback=_labels, metavar="K=V,…", help="Its labels.")
@click.option("--service-account", default="", help="The account that it runs as.")
@click.option(
    "--interception",
    type=click.Choice(["redirect", "none"]),
    default="redirect",
    help="Whether the kernel redirects traffic to the sidecar, or programs are pointed at it.",
)
@click.option(
    "--http-proxy-port", type=click.IntRange(1, 65535), help="HTTP proxy for programs (interception none)."
)
@click.option(
    "--outbound-bind",
    default="",
    callback=_ip,
    help="IP of a gateway's listeners, or of outbound ones (interception none).",
)
@click.option(
    "--dns-capture",
    is_flag=True,
    help="Have the sidecar answer DNS: names of the mesh itself, the rest by asking.",
)
@click.option(
    "--dns-address",
    default="",
    callback=_ip_and_port,
    metavar="IP:PORT",
    help="Where it does (UDP), instead of port 15053 of loopback.",
)
@click.option(
    "--group",
    default="",
    help="The WorkloadGroup of its namespace by which it registers itself; needs TLS to the daemon.",
)
@click.option("--cluster-id", default="", help="The platform's cluster it runs in.")
@click.option("--network", default="", help="The network it is on.")
@click.option("--locality", default="", metavar="REGION/ZONE/SUBZONE", help="Where it runs.")
@click.option(
    "--zone-aware", is_flag=True, help="Have Envoy balance zones where rules say so; needs --locality."
)
@click.option("--domain", default="cluster.local", help="The mesh domain of the daemon.")
@click.option(
    "--xds-address",
    "xds_addresses",
    multiple=True,
    callback=xds_addresses_of,
    help="The daemon: HOST:PORT or unix:PATH; again for each further daemon on the same store. On this machine if it is "
    "left out: port 15010, or 15012 for a join token, or 15013 for a certificate.",
)
@tls_options
@click.option(
    "--admin-port",
    type=click.IntRange(1, 65535),
    help="Envoy's admin page on loopback; 15000 if nobody says.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(0),
    help="Worker threads, 0 for one a core; goes to Envoy's command line.",
)
@click.option(
    "--proxy-config",
    "own",
    default="",
    callback=_proxy_config,
    metavar="YAML|@FILE",
    help="What this proxy says in the words of Istio's ProxyConfig (the annotation proxy.istio.io/config), over what "
    "objects say: gatewayTopology of a gateway, concurrency, proxyMetadata and others.",
)
@click.option(
    "--metadata",
    multiple=True,
    callback=_labels,
    metavar="K=V,…",
    help="Further node metadata, which EnvoyFilters may match, such as ISTIO_VERSION.",
)
@click.option(
    "--patched",
    is_flag=True,
    help="Write down what the daemon's ProxyConfigs, its MeshConfig and the BOOTSTRAP patches of EnvoyFilters say.",
)
@click.option(
    "-f",
    "--filename",
    "filenames",
    multiple=True,
    type=click.Path(path_type=str),
    help="The same with the objects of a file, a folder or - for the standard input.",
)
@click.option("--root-namespace", default="istio-system", help="The daemon's setting, for these objects.")
@click.option(
    "--environment-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write there what Envoy's unit needs beside the bootstrap: /etc/xdsd/envoy/NAME.env.",
)
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml")
@pass_connection
def bootstrap(
    connection: Connection,
    role: str,
    name: str,
    namespace: str,
    address: str,
    labels: dict[str, str],
    service_account: str,
    interception: str,
    http_proxy_port: int | None,
    outbound_bind: str,
    dns_capture: bool,
    dns_address: str,
    group: str,
    cluster_id: str,
    network: str,
    locality: str,
    zone_aware: bool,
    domain: str,
    xds_addresses: tuple[Address, ...],
    certificates: Path | None,
    root: Path | None,
    join_token_file: Path | None,
    trust_domain: str,
    admin_port: int | None,
    concurrency: int | None,
    own: "MeshProxyConfig | None",
    metadata: dict[str, str],
    patched: bool,
    filenames: tuple[str, ...],
    root_namespace: str,
    environment_file: Path | None,
    output: str,
) -> None:
    """Print a complete Envoy bootstrap: incremental ADS from the daemon, for a sidecar or a gateway.

    \b
    xdsctl bootstrap --name reviews-v1 --labels app=reviews,version=v1 --address 10.0.0.1 > envoy.yaml
    envoy -c envoy.yaml
    """
    from api.bootstrap import BootstrapOptions, bootstrap_json  # noqa: PLC0415 - a second of imports

    explicit = interception == "none" and role == Role.SIDECAR.value
    bindable = explicit or role == Role.ROUTER.value
    if (http_proxy_port and not explicit) or (outbound_bind and not bindable):
        raise click.UsageError(
            "--http-proxy-port and --outbound-bind are for a sidecar to which programs are pointed: "
            "add --interception none, or leave them out"
        )
    if (dns_capture and role != Role.SIDECAR.value) or (dns_address and not dns_capture):
        raise click.UsageError(
            "--dns-capture is for sidecars, and --dns-address for those that capture: add --dns-capture, or leave both out"
        )
    if not PROXY_NAME.fullmatch(name):
        raise click.BadParameter(
            f"{name!r} is not a name: letters, digits, '-', '_' and '.'", param_hint="--name"
        )
    if not _LABEL.fullmatch(namespace):
        raise click.BadParameter(f"{namespace!r} is not a namespace's name", param_hint="--namespace")
    if zone_aware and "/" not in locality:
        raise click.UsageError("--zone-aware needs to know the zone: add --locality REGION/ZONE")
    if http_proxy_port and outbound_bind and not ip_address(outbound_bind).is_loopback:
        warn(_OPEN_PROXY.format(address=outbound_bind, port=http_proxy_port))
    if group and role != Role.SIDECAR.value:
        raise click.UsageError("--group is for sidecars: gateways are found by their own address")
    objects = _objects(connection if patched else None, filenames, namespace)
    declared = _start(objects, namespace, labels, root_namespace)
    said, topology = _over(declared, own, Role(role))
    tls = xds_tls(certificates, root, join_token_file, trust_domain, root_namespace)
    if group and tls is None:
        raise click.UsageError(
            "--group needs TLS, over which the machine proves its service account: add --root and --join-token-file, or "
            "--certificates"
        )
    options = BootstrapOptions(
        role=Role(role),
        name=name,
        namespace=namespace,
        address=address,
        xds_addresses=daemons(xds_addresses, tls),
        xds_tls=tls,
        domain=domain,
        labels=labels,
        service_account=service_account,
        interception=Interception.NONE if interception == "none" else Interception.REDIRECT,
        http_proxy_port=http_proxy_port or 0,
        outbound_bind=outbound_bind,
        cluster_id=cluster_id,
        network=network,
        locality=locality,
        zone_aware=zone_aware,
        dns_capture=dns_capture,
        dns_address=dns_address,
        group=group,
        admin_port=admin_port or said.admin_port or DEFAULT_ADMIN_PORT,
        metadata={**said.metadata, **metadata},
        runtime=said.runtime,
        start={**declared.written(), **topology},
    )
    made = _patched(bootstrap_json(options), objects, root_namespace)
    warn_of_covered(said, made)
    start = said if concurrency is None else replace(said, concurrency=concurrency)
    run = command_line(start)
    if environment_file is not None:
        environment_file.write_text(unit_environment(start))
    if output == "json":
        click.echo(to_json(made))
        if start.concurrency or start.environment or start.drain:
            click.echo(f"Run: {run}", err=True)
    else:
        click.echo(f"# Run: {run}\n{to_yaml(made)}")


def _objects(connection: Connection | None, filenames: Sequence[str], namespace: str) -> "list[AnyObject]":
    """The objects of a daemon, if one is asked, and of files that are about bootstraps."""
    if connection is None and not filenames:
        return []
    from api.commands.patching import from_daemon, from_files  # noqa: PLC0415 - imports the kinds of objects

    found = from_daemon(connection) if connection is not None else []
    return found + (from_files(filenames, namespace) if filenames else [])


def _start(
    objects: "Sequence[AnyObject]", namespace: str, labels: Mapping[str, str], root: str
) -> ProxyStart:
    """What they say of a workload."""
    if not objects:
        return ProxyStart()
    from api.commands.patching import start_of  # noqa: PLC0415 - imports the kinds of objects

    return start_of(objects, namespace, labels, root)


def _over(
    declared: ProxyStart, own: "MeshProxyConfig | None", role: Role
) -> tuple[ProxyStart, Mapping[str, Any]]:
    """What it is started with where it says something itself, and what it says of that to daemons."""
    if own is None:
        return declared, {}
    from api.commands.proxy_config import own_topology  # noqa: PLC0415 - imports the kinds of objects
    from xdsd.model.gateway_topology import WORD  # noqa: PLC0415 - likewise
    from xdsd.model.proxy_start import start_over  # noqa: PLC0415 - likewise

    topology = own_topology(own, role).written()
    return start_over(declared, own), {WORD: topology} if topology else {}


def _patched(made: Mapping[str, Any], objects: "Sequence[AnyObject]", root: str) -> Mapping[str, Any]:
    """The bootstrap as they change it."""
    if not objects:
        return made
    from api.commands.patching import with_patches  # noqa: PLC0415 - imports the kinds of objects

    return with_patches(made, objects, root)
