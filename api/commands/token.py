"""``xdsctl token``: join tokens, by which a proxy proves whose it is the first time."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from api.commands.connection import Connection, pass_connection
from api.commands.duration_type import DURATION
from api.commands.hints import HintedGroup
from api.commands.output import DataFormat, print_data, print_table
from api.joining_client import JoiningClient
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.secret_files import write_secret

_COLUMNS = ("ID", "NAMESPACE", "SERVICE-ACCOUNT", "EXPIRES", "USE", "NETWORKS", "BY", "DESCRIPTION")

output_option = click.option("-o", "--output", type=DataFormat, help="As data.")


@click.group(cls=HintedGroup)
def token() -> None:
    """Make, list and revoke the tokens by which proxies join the mesh."""


@token.command()
@click.option("-n", "--namespace", default="default", show_default=True, help="The namespace it is for.")
@click.option("--service-account", default="default", show_default=True, help="The account it is for.")
@click.option("--ttl", type=DURATION, default="1h", show_default=True, help="How long it holds, such as 30d.")
@click.option(
    "--single-use", is_flag=True, help="For one certificate (xdsctl cert issue), and nothing afterwards."
)
@click.option(
    "--network",
    "networks",
    multiple=True,
    metavar="CIDR",
    help="Where it may be used from, such as 10.1.0.0/16; may be given several times.",
)
@click.option("--description", default="", help="What it is for, to know it again.")
@click.option("--out", type=click.Path(path_type=Path), help="A file for it (0600), instead of printing it.")
@output_option
@pass_connection
def create(
    connection: Connection,
    namespace: str,
    service_account: str,
    ttl: timedelta,
    single_use: bool,
    networks: tuple[str, ...],
    description: str,
    out: Path | None,
    output: str | None,
) -> None:
    """Make a join token and print it, this once: whoever has it may be the service account.

    \b
    xdsctl token create -n shop --service-account reviews --ttl 15m --single-use --out reviews.token
    """
    request = pb.CreateJoinTokenRequest(
        namespace=namespace,
        service_account=service_account,
        ttl_seconds=int(ttl.total_seconds()),
        single_use=single_use,
        networks=networks,
        description=description,
    )
    with connection.client() as client:
        made = JoiningClient(client).create_token(request)
    for warning in made.warnings:
        click.echo(f"Warning: {warning}", err=True)
    if out is not None:
        try:
            write_secret(out, made.token.encode())
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise click.ClickException(
                f"{out} cannot be written: {why}; the token {made.info.id} is lost: xdsctl token revoke {made.info.id}"
            ) from error
    if output:
        print_data({**({} if out else {"token": made.token}), **_data(made.info)}, output)
    elif out is not None:
        click.echo(f'token "{made.info.id}" created in {out}')
    else:
        click.echo(made.token)


@token.command(name="list")
@output_option
@pass_connection
def list_(connection: Connection, output: str | None) -> None:
    """List the join tokens of the namespaces that you may let others join."""
    with connection.client() as client:
        found = JoiningClient(client).tokens()
    if output:
        print_data({"tokens": [_data(each) for each in found]}, output)
    elif found:
        print_table(_COLUMNS, [_row(each) for each in found])
    else:
        click.echo("No join tokens found", err=True)


@token.command()
@click.argument("identity", metavar="ID")
@pass_connection
def revoke(connection: Connection, identity: str) -> None:
    """Revoke a join token; streams that began with it end. Certificates that it became hold on."""
    with connection.client() as client:
        JoiningClient(client).revoke_token(identity)
    click.echo(f'token "{identity}" revoked')


def _row(token: pb.JoinToken) -> tuple[str, ...]:
    return (
        token.id,
        token.namespace,
        token.service_account,
        token.expires.ToJsonString(),
        _use(token),
        ",".join(token.networks) or "<any>",
        token.author,
        token.description,
    )


def _use(token: pb.JoinToken) -> str:
    if not token.single_use:
        return "many"
    return "used" if token.HasField("used") else "single"


def _data(token: pb.JoinToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "namespace": token.namespace,
        "serviceAccount": token.service_account,
        "created": token.created.ToJsonString(),
        "expires": token.expires.ToJsonString(),
        "singleUse": token.single_use,
        "used": token.used.ToJsonString() if token.HasField("used") else None,
        "networks": list(token.networks),
        "author": token.author,
        "description": token.description,
    }
