"""``xdsctl user``: who may call the daemon, and by what it knows them."""

from datetime import timedelta
from typing import IO

import click

from api.access_client import AccessClient
from api.commands.connection import Connection, pass_connection
from api.commands.hints import HintedGroup
from api.commands.lifetime_type import LIFETIME
from api.commands.output import DataFormat, print_data, print_table
from api.commands.users import COLUMNS, DRY_RUN, expiry, print_user, told, user_data, user_row
from api.proto.xdsd.admin.v1 import admin_pb2 as pb

ROLE = click.Choice(["viewer", "editor", "admin"])
_LONGEST_PASSWORD = 1024

_MYSELF = (
    "{name} is who you are: this shuts you out, and who may come in otherwise (another admin, or root at the daemon's"
    " socket) has to let you in again; say --myself if that is meant"
)

output_option = click.option("-o", "--output", type=DataFormat, help="As data.")
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Let the daemon check everything and write nothing."
)
certificate_option = click.option(
    "--certificate",
    "certificates",
    multiple=True,
    metavar="SUBJECT",
    help="A name in the user's client certificate: URI, DNS name or common name; may be given several times.",
)
uid_option = click.option(
    "--uid",
    "uids",
    multiple=True,
    type=click.IntRange(0, 2**32 - 2),
    help="A user of the daemon's machine, on its Unix socket; may be given several times.",
)
password_option = click.option(
    "--password-file",
    type=click.File("rb"),
    help="Holds a password, for clients of etcd's API; - reads the standard input.",
)


myself_option = click.option("--myself", is_flag=True, help="Also where that is you.")


@click.group(cls=HintedGroup)
def user() -> None:
    """Say who may call the daemon, and by what it knows them."""


@user.command()
@click.argument("name")
@click.option("--role", "roles", multiple=True, type=ROLE, help="What the user may do; see xdsctl role list.")
@click.option("-n", "--namespace", "namespaces", multiple=True, help="The roles hold in these alone.")
@certificate_option
@uid_option
@password_option
@dry_run_option
@output_option
@pass_connection
def add(
    connection: Connection,
    name: str,
    roles: tuple[str, ...],
    namespaces: tuple[str, ...],
    certificates: tuple[str, ...],
    uids: tuple[int, ...],
    password_file: IO[bytes] | None,
    dry_run: bool,
    output: str | None,
) -> None:
    """Add a user."""
    if namespaces and not roles:
        raise click.UsageError("--namespace says where a role holds; give --role too")
    request = pb.AddUserRequest(
        name=name,
        bindings=[pb.Binding(role=role, namespaces=namespaces) for role in dict.fromkeys(roles)],
        certificates=certificates,
        uids=uids,
        password=_password(password_file),
        dry_run=dry_run,
    )
    with connection.client() as client:
        added = AccessClient(client).add(request)
    told(added, "added", output, dry_run=dry_run)


@user.command(name="list")
@output_option
@pass_connection
def list_(connection: Connection, output: str | None) -> None:
    """List all users."""
    with connection.client() as client:
        users = AccessClient(client).users()
    if output:
        print_data({"users": [user_data(each) for each in users]}, output)
    elif users:
        print_table(COLUMNS, [user_row(each) for each in users])
    else:
        click.echo("No users found", err=True)


@user.command()
@click.argument("name")
@output_option
@pass_connection
def show(connection: Connection, name: str, output: str | None) -> None:
    """Show a user and its tokens."""
    with connection.client() as client:
        found = AccessClient(client).user(name)
    if output:
        print_data(user_data(found), output)
    else:
        print_user(found)


@user.command()
@click.argument("name")
@myself_option
@dry_run_option
@pass_connection
def delete(connection: Connection, name: str, myself: bool, dry_run: bool) -> None:
    """Forget a user; what it is connected with ends."""
    with connection.client() as client:
        access = AccessClient(client)
        _not_myself(access, name, myself or dry_run)
        access.delete(name, dry_run=dry_run)
    click.echo(f'user "{name}" deleted{DRY_RUN if dry_run else ""}')


@user.command()
@click.argument("name")
@myself_option
@dry_run_option
@output_option
@pass_connection
def disable(connection: Connection, name: str, myself: bool, dry_run: bool, output: str | None) -> None:
    """Let a user in no more, and keep what is known of it."""
    request = pb.UpdateUserRequest(name=name, set_disabled=True, disabled=True, dry_run=dry_run)
    with connection.client() as client:
        access = AccessClient(client)
        _not_myself(access, name, myself or dry_run)
        changed = access.update(request)
    told(changed, "disabled", output, dry_run=dry_run)


@user.command()
@click.argument("name")
@dry_run_option
@output_option
@pass_connection
def enable(connection: Connection, name: str, dry_run: bool, output: str | None) -> None:
    """Let a user in again that was disabled."""
    request = pb.UpdateUserRequest(name=name, set_disabled=True, dry_run=dry_run)
    _update(connection, request, "enabled", output)


@user.command(name="set")
@click.argument("name")
@certificate_option
@click.option("--no-certificates", is_flag=True, help="None any more.")
@uid_option
@click.option("--no-uids", is_flag=True, help="None any more.")
@password_option
@click.option("--no-password", is_flag=True, help="None any more.")
@dry_run_option
@output_option
@pass_connection
def set_(
    connection: Connection,
    name: str,
    certificates: tuple[str, ...],
    no_certificates: bool,
    uids: tuple[int, ...],
    no_uids: bool,
    password_file: IO[bytes] | None,
    no_password: bool,
    dry_run: bool,
    output: str | None,
) -> None:
    """Replace by what a user is known; what is not named stays."""
    for one, other, flag in (
        (certificates, no_certificates, "certificate"),
        (uids, no_uids, "uid"),
        (password_file, no_password, "password-file"),
    ):
        if one and other:
            raise click.UsageError(f"--{flag} and its opposite are given; use one of the two")
    if not any((certificates, no_certificates, uids, no_uids, password_file, no_password)):
        raise click.UsageError("say what to replace: --certificate, --uid or --password-file")
    request = pb.UpdateUserRequest(
        name=name,
        set_certificates=bool(certificates or no_certificates),
        certificates=certificates,
        set_uids=bool(uids or no_uids),
        uids=uids,
        set_password=bool(password_file or no_password),
        password=_password(password_file),
        dry_run=dry_run,
    )
    _update(connection, request, "changed", output)


@user.command()
@click.argument("name")
@click.option(
    "--ttl",
    type=LIFETIME,
    default=timedelta(days=30),
    show_default="30d",
    help="How long it lives, such as 12h; never: until it is revoked.",
)
@click.option("--description", default="", help="What it is for.")
@output_option
@pass_connection
def token(connection: Connection, name: str, ttl: timedelta, description: str, output: str | None) -> None:
    """Make a token and print it, this once; the daemon keeps a one-way hash alone."""
    with connection.client() as client:
        issued = AccessClient(client).issue_token(name, int(ttl.total_seconds()), description)
    if output:
        about = {"id": issued.info.id, "expires": expiry(issued.info) or None, "description": description}
        print_data({"token": issued.token, **about}, output)
        return
    until = expiry(issued.info)
    click.echo(
        f"token {issued.info.id} of {name} {f'expires at {until}' if until else 'does not expire'}", err=True
    )
    click.echo(issued.token)


@user.command()
@click.argument("name")
@click.argument("identity", metavar="[ID]", required=False)
@click.option("--all", "everything", is_flag=True, help="All tokens of the user.")
@dry_run_option
@output_option
@pass_connection
def revoke(
    connection: Connection,
    name: str,
    identity: str | None,
    everything: bool,
    dry_run: bool,
    output: str | None,
) -> None:
    """Take a token back by its ID, which xdsctl user show tells, or all."""
    if identity and everything:
        raise click.UsageError("an ID is one token, and --all is all of them; use one of the two")
    if not identity and not everything:
        raise click.UsageError("say which token: its ID, or --all")
    with connection.client() as client:
        changed = AccessClient(client).revoke_token(name, identity or "", dry_run=dry_run)
    told(changed, "has no tokens any more" if everything else "has one token less", output, dry_run=dry_run)


def _not_myself(access: AccessClient, name: str, meant: bool) -> None:
    if not meant and access.whoami().name == name:
        raise click.ClickException(_MYSELF.format(name=name))


def _update(connection: Connection, request: pb.UpdateUserRequest, done: str, output: str | None) -> None:
    with connection.client() as client:
        changed = AccessClient(client).update(request)
    told(changed, done, output, dry_run=request.dry_run)


def _password(file: IO[bytes] | None) -> str:
    """The first line of the file."""
    if file is None:
        return ""
    try:
        text = file.read(_LONGEST_PASSWORD + 1).decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{file.name} is no UTF-8, so it holds no password") from error
    if not text or "\n" in text or len(text) >= _LONGEST_PASSWORD:
        raise click.ClickException(f"{file.name} holds no password: write one line of at most 1023 bytes")
    return text
