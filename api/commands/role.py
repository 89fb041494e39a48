"""``xdsctl role``: what users may do, and where."""

from collections.abc import Mapping

import click

from api.access_client import AccessClient
from api.commands.connection import Connection, pass_connection
from api.commands.hints import HintedGroup
from api.commands.output import print_data, print_table
from api.commands.user import ROLE, dry_run_option, output_option
from api.commands.users import told


class _RoleGroup(HintedGroup):
    hints: Mapping[str, str] = {
        "revoke": "role withdraw",
        "remove": "role withdraw",
        "delete": "role withdraw",
        "add": "role grant",
        "get": "role list",
        "grant-permission": "role grant",
        "revoke-permission": "role withdraw",
    }


@click.group(cls=_RoleGroup)
def role() -> None:
    """Say what users may do, and where."""


@role.command(name="list")
@output_option
@pass_connection
def list_(connection: Connection, output: str | None) -> None:
    """List the roles and what each may do."""
    with connection.client() as client:
        roles = AccessClient(client).roles()
    if output:
        found = [
            {"name": each.name, "description": each.description, "may": list(each.may)} for each in roles
        ]
        print_data({"roles": found}, output)
    else:
        print_table(("ROLE", "MAY"), [(each.name, "; ".join(each.may)) for each in roles])


@role.command()
@click.argument("name")
@click.argument("role_name", metavar="ROLE", type=ROLE)
@click.option(
    "-n", "--namespace", "namespaces", multiple=True, help="There alone; may be given several times."
)
@dry_run_option
@output_option
@pass_connection
def grant(
    connection: Connection,
    name: str,
    role_name: str,
    namespaces: tuple[str, ...],
    dry_run: bool,
    output: str | None,
) -> None:
    """Give a user a role, in all namespaces or beside those where it has it."""
    with connection.client() as client:
        changed = AccessClient(client).grant(name, role_name, namespaces, dry_run=dry_run)
    told(changed, f"is {role_name}{_where(namespaces)}", output, dry_run=dry_run)


@role.command()
@click.argument("name")
@click.argument("role_name", metavar="ROLE", type=ROLE)
@click.option(
    "-n", "--namespace", "namespaces", multiple=True, help="There alone; may be given several times."
)
@dry_run_option
@output_option
@pass_connection
def withdraw(
    connection: Connection,
    name: str,
    role_name: str,
    namespaces: tuple[str, ...],
    dry_run: bool,
    output: str | None,
) -> None:
    """Take a role from a user, everywhere or in some of its namespaces."""
    with connection.client() as client:
        changed = AccessClient(client).withdraw(name, role_name, namespaces, dry_run=dry_run)
    told(changed, f"is {role_name} no more{_where(namespaces)}", output, dry_run=dry_run)


def _where(namespaces: tuple[str, ...]) -> str:
    return f" in {', '.join(namespaces)}" if namespaces else ""
