"""``xdsctl machine``: what a bare machine needs to join the mesh."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import click

from api.commands.bootstrap import PROXY_NAME, xds_addresses_of
from api.commands.connection import Connection, pass_connection
from api.commands.duration_type import DURATION
from api.commands.hints import HintedGroup
from api.commands.xds_tls import WITH_TOKEN
from api.joining_client import JoiningClient
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from xdsd.model.problem import ObjectRef
from xdsd.setting_values import Address, TcpAddress, parse_tcp

_ANYWHERE = frozenset({"0.0.0.0", "::", ""})


@click.group(cls=HintedGroup)
def machine() -> None:
    """Let machines join the mesh that register themselves."""


@machine.command("join-bundle", context_settings={"show_default": True})
@click.option("--group", required=True, help="The WorkloadGroup that the machine is of.")
@click.option("-n", "--namespace", default="default", help="Its namespace.")
@click.option("--name", default="", help="The machine's name in the mesh; its host name if left out.")
@click.option("--ttl", type=DURATION, default="90d", help="How long the machine may stay by it.")
@click.option(
    "--network",
    "networks",
    multiple=True,
    metavar="CIDR",
    help="Where it may be used from, and of which a machine may claim an address; may be given several times.",
)
@click.option(
    "--xds-address",
    "xds_addresses",
    multiple=True,
    callback=xds_addresses_of,
    help="The xds-tls-address of a daemon as the machine reaches it, HOST:PORT; again for each further daemon. The "
    "daemon's own if that is an address of one machine.",
)
@click.option("--dns/--no-dns", default=True, help="Whether the sidecar answers the machine's DNS.")
@click.option(
    "--domain", default=None, help="The mesh domain, which must be the daemon's; as the daemon says."
)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="A file for it (0600), instead of printing it."
)
@pass_connection
def join_bundle(
    connection: Connection,
    group: str,
    namespace: str,
    name: str,
    ttl: timedelta,
    networks: tuple[str, ...],
    xds_addresses: tuple[Address, ...],
    dns: bool,
    domain: str | None,
    out: Path | None,
) -> None:
    """Make one file with all that a machine needs to join: scripts/machine-join FILE, there.

    \b
    xdsctl machine join-bundle --group reviews --xds-address 10.0.0.1:15012 -o reviews.bundle
    """
    if name and not PROXY_NAME.fullmatch(name):
        raise click.BadParameter(
            f"{name!r} is not a name: letters, digits, '-', '_' and '.'", param_hint="--name"
        )
    with connection.client() as client:
        declared = client.get(ObjectRef("WorkloadGroup", namespace, group))
        from api.commands import bundling  # noqa: PLC0415 - a second of imports

        found = bundling.group_of(declared)
        joining = JoiningClient(client)
        trust = joining.trust()
        if domain not in (None, trust.mesh_domain):
            raise click.BadParameter(
                f"the daemon's mesh domain is {trust.mesh_domain}, not {domain}: leave it out",
                param_hint="--domain",
            )
        daemons = _daemons(xds_addresses, trust.tls_address)
        made = joining.create_token(
            pb.CreateJoinTokenRequest(
                namespace=namespace,
                service_account=found.spec.service_account,
                ttl_seconds=int(ttl.total_seconds()),
                networks=networks,
                description=f"join bundle of the group {group}"[:253],
            )
        )
    bundling.give(bundling.bundle(found, name, daemons, trust, made, dns=dns), out)


def _daemons(said: Sequence[Address], own: str) -> tuple[TcpAddress, ...]:
    """Where machines reach the daemons."""
    pipes = [each for each in said if not isinstance(each, TcpAddress)]
    if pipes:
        raise click.BadParameter(f"{pipes[0]} is on the daemon's machine alone", param_hint="--xds-address")
    addresses = tuple(each for each in said if isinstance(each, TcpAddress))
    address = parse_tcp(own) if own and not addresses else None
    if address is not None:
        addresses = (address,)
    if address is not None and address.is_loopback:
        raise click.UsageError(
            f"the daemon listens on {address}, which no other machine reaches: serve with --xds-tls-address"
            f" 0.0.0.0:{address.port} and add --xds-address, such as 10.0.0.1:{address.port}; if the machine reaches the"
            f" daemon there all the same, say so with --xds-address {address}"
        )
    if not addresses:
        raise click.ClickException("the daemon serves no TLS: set its xds-tls-address, such as 0.0.0.0:15012")
    unknown = [each for each in addresses if each.host in _ANYWHERE or not each.port]
    if unknown:
        raise click.UsageError(
            f"the daemon listens on {unknown[0]}, which says not how a machine reaches it: add --xds-address, such as "
            f"10.0.0.1:{unknown[0].port or WITH_TOKEN.port}"
        )
    return addresses
