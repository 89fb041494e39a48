"""``xdsctl whoami``: who the daemon takes you for."""

import click

from api.access_client import AccessClient
from api.commands.connection import Connection, pass_connection
from api.commands.output import DataFormat, print_data
from api.commands.users import bindings_data, roles


@click.command()
@click.option("-o", "--output", type=DataFormat, help="As data.")
@pass_connection
def whoami(connection: Connection, output: str | None) -> None:
    """Tell who the daemon takes you for, by what, and what you may do."""
    with connection.client() as client:
        found = AccessClient(client).whoami()
        endpoint = str(client.endpoint)
    if output:
        about = {"name": found.name, "method": found.method, "origin": found.origin}
        print_data({**about, "endpoint": endpoint, "bindings": bindings_data(found.bindings)}, output)
        return
    click.echo(f"{found.name}, known by {found.method}, at {endpoint}")
    click.echo(f"roles: {roles(found.bindings) or 'none'}")
