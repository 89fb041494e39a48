"""``xdsctl cert``."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from pydantic_core import PydanticCustomError

from api.commands.cert.folder import Files, read, write
from api.commands.cert.issued import list_
from api.commands.connection import Connection, pass_connection
from api.commands.duration_type import DURATION
from api.commands.hints import HintedGroup
from api.commands.output import DataFormat, print_data, print_table
from api.joining_client import JoiningClient
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from xdsd.setting_values import TcpAddress, parse_address

_COLUMNS = ("REVOKED", "SINCE", "UNTIL", "BY", "REASON")
_DUE = 0.5
"""Of a certificate's life, after which it is renewed."""
_LONGEST_TOKEN = 4096


def _servers(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[TcpAddress, ...]:
    found = []
    for value in values:
        try:
            address = parse_address(value)
        except PydanticCustomError as error:
            raise click.BadParameter(error.message()) from error
        if not isinstance(address, TcpAddress):
            raise click.BadParameter(f"{value} is a socket; write HOST:PORT")
        found.append(address)
    return tuple(found)


out_option = click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="The folder of its files."
)
lifetime_option = click.option(
    "--lifetime", type=DURATION, help="How long it should hold; at most what the daemon gives."
)


@click.group(cls=HintedGroup)
def cert() -> None:
    """Get and renew a proxy's certificate where it runs, and shut others out."""


cert.add_command(list_)


@cert.command()
@out_option
@click.option(
    "--server",
    "servers",
    multiple=True,
    default=("127.0.0.1:15012",),
    show_default=True,
    callback=_servers,
    help="The daemon's xds-tls-address; again for each further daemon on the same store.",
)
@click.option(
    "--join-token-file",
    required=True,
    type=click.File("rb"),
    help="Holds a join token (xdsctl token create); - reads the standard input.",
)
@click.option(
    "--root",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The mesh's roots (xdsctl ca bundle), which the daemon must prove to be of.",
)
@lifetime_option
def issue(
    out: Path, servers: tuple[TcpAddress, ...], join_token_file: Any, root: Path, lifetime: timedelta | None
) -> None:
    """Make a key, and have the daemon sign a certificate of the identity that a join token is for.

    The key never leaves this machine. cert.pem, key.pem and root.pem in the folder change together; Envoy takes them up when
    they do (see xdsctl bootstrap --certificates).
    """
    token = join_token_file.read(_LONGEST_TOKEN).decode("ascii", "replace").strip()
    if not token or not token.isascii() or not token.isprintable():
        raise click.ClickException(f"{join_token_file.name} does not hold a join token")
    _get(out, servers, lifetime, roots=_read(root), token=token)


@cert.command()
@out_option
@click.option(
    "--server",
    "servers",
    multiple=True,
    default=("127.0.0.1:15013",),
    show_default=True,
    callback=_servers,
    help="The daemon's xds-mtls-address; again for each further daemon on the same store.",
)
@click.option("--if-due", is_flag=True, help="Only when half of its life is over; for a timer.")
@lifetime_option
def renew(out: Path, servers: tuple[TcpAddress, ...], if_due: bool, lifetime: timedelta | None) -> None:
    """Replace the certificate in a folder, and its key, by proving who it is with the one that is there."""
    try:
        files = read(out)
    except OSError as error:
        raise click.ClickException(
            f"{out} holds no certificate to renew: {_reason(error)}; get one with xdsctl cert issue"
        ) from error
    due = _due(out, files)
    if if_due and datetime.now(UTC) < due:
        click.echo(f"not due before {due.isoformat(timespec='seconds')}")
        return
    _get(out, servers, lifetime, roots=files.roots, files=files)


@cert.command()
@click.argument("identity", required=False, metavar="[SPIFFE-ID]")
@click.option("--serial", default="", help="Of one certificate, in hexadecimal digits.")
@click.option(
    "--for",
    "lasts",
    type=DURATION,
    help="How long; at least until its certificates have expired, which is the default.",
)
@click.option("--reason", default="", help="Why, to be told.")
@click.option("--keep-connections", is_flag=True, help="End no connections that are open already.")
@click.option(
    "--everywhere",
    is_flag=True,
    help="End connections of workloads too whose policies keep it out now, and if no certificate is known.",
)
@click.option("-o", "--output", type=DataFormat, help="As data.")
@pass_connection
def revoke(
    connection: Connection,
    identity: str | None,
    serial: str,
    lasts: timedelta | None,
    reason: str,
    keep_connections: bool,
    everywhere: bool,
    output: str | None,
) -> None:
    """Shut out an identity, or one certificate by its serial. Streams that it proved end at once.

    An identity is shut out until the last certificate that was issued to it has expired, and for as long as a new one would
    live at least; --for makes that longer. It may join again afterwards, also with a join token that it has: revoke those.
    Proxies take no connections of it any more, and end those that are open: to that end workloads whose policies let it
    in drain all connections of peers, within their drain time.

    \b
    xdsctl cert revoke spiffe://cluster.local/ns/shop/sa/reviews --reason "host was stolen"
    xdsctl cert revoke --serial 1f:3a:…
    """
    _one(identity, serial)
    if everywhere and keep_connections:
        raise click.UsageError("give --everywhere or --keep-connections, not both")
    seconds = int(lasts.total_seconds()) if lasts else 0
    request = pb.RevokeRequest(
        identity=identity or "",
        serial=serial,
        ttl_seconds=seconds,
        reason=reason,
        keep_connections=keep_connections,
        everywhere=everywhere,
    )
    with connection.client() as client:
        made = JoiningClient(client).revoke(request)
    for warning in made.warnings:
        click.echo(f"warning: {warning}", err=True)
    if output:
        print_data(_data(made), output)
    else:
        click.echo(f"{made.identity or made.serial} revoked until {made.until.ToJsonString()}")


@cert.command()
@click.option("-o", "--output", type=DataFormat, help="As data.")
@pass_connection
def revocations(connection: Connection, output: str | None) -> None:
    """List who is shut out."""
    with connection.client() as client:
        found = JoiningClient(client).revocations()
    if output:
        print_data({"revocations": [_data(each) for each in found]}, output)
    elif found:
        rows = [
            (
                each.identity or each.serial,
                each.since.ToJsonString(),
                each.until.ToJsonString(),
                each.author,
                each.reason,
            )
            for each in found
        ]
        print_table(_COLUMNS, rows)
    else:
        click.echo("Nothing is revoked", err=True)


@cert.command()
@click.argument("identity", required=False, metavar="[SPIFFE-ID]")
@click.option("--serial", default="", help="Of one certificate, in hexadecimal digits.")
@pass_connection
def restore(connection: Connection, identity: str | None, serial: str) -> None:
    """Take a revocation back."""
    _one(identity, serial)
    with connection.client() as client:
        JoiningClient(client).restore(pb.RestoreRequest(identity=identity or "", serial=serial))
    click.echo(f"{identity or serial} is no longer revoked")


def _one(identity: str | None, serial: str) -> None:
    if bool(identity) == bool(serial):
        raise click.UsageError("name one SPIFFE id, or give --serial")


def _get(
    out: Path,
    servers: tuple[TcpAddress, ...],
    lifetime: timedelta | None,
    *,
    roots: bytes,
    token: str = "",
    files: Files | None = None,
) -> None:
    """Puts a new certificate into the folder, and says whose it is."""
    from api.commands.cert.asking import Asker, NoCertificateError, ask  # noqa: PLC0415 - imports cryptography

    try:
        made = ask(servers, Asker(roots, token, files), int(lifetime.total_seconds()) if lifetime else 0)
        write(out, made)
    except NoCertificateError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{out} cannot be written: {_reason(error)}") from error
    identity, expires = _told(made)
    click.echo(f"{identity} until {expires} in {out}")


def _told(files: Files) -> tuple[str, str]:
    from cryptography import x509  # noqa: PLC0415 - takes a moment to import

    made = x509.load_pem_x509_certificate(files.certificate)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (identity,) = names.get_values_for_type(x509.UniformResourceIdentifier)
    return identity, made.not_valid_after_utc.isoformat()


def _due(out: Path, files: Files) -> datetime:
    """When half of the life is over that a certificate had when it was written."""
    from cryptography import x509  # noqa: PLC0415 - takes a moment to import

    try:
        held = x509.load_pem_x509_certificate(files.certificate)
    except ValueError as error:
        raise click.ClickException(
            f"{out} holds no certificate to renew; get one with xdsctl cert issue"
        ) from error
    written = datetime.fromtimestamp((out / "current" / "cert.pem").stat().st_mtime, UTC)
    return written + (held.not_valid_after_utc - written) * _DUE


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise click.ClickException(f"{path} cannot be read: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _data(revocation: pb.Revocation) -> dict[str, Any]:
    return {
        "identity": revocation.identity or None,
        "serial": revocation.serial or None,
        "since": revocation.since.ToJsonString(),
        "until": revocation.until.ToJsonString(),
        "author": revocation.author,
        "reason": revocation.reason,
    }
