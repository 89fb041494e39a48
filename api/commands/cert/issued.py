"""``xdsctl cert list``: which certificates somebody has, to be revoked by their serials."""

import click

from api.commands.connection import Connection, pass_connection
from api.commands.output import DataFormat, print_data, print_table
from api.joining_client import JoiningClient

_COLUMNS = ("SERIAL", "EXPIRES", "REVOKED")


@click.command(name="list")
@click.argument("identity", metavar="SPIFFE-ID")
@click.option("-o", "--output", type=DataFormat, help="As data.")
@pass_connection
def list_(connection: Connection, identity: str, output: str | None) -> None:
    """List the certificates of an identity that hold, also of proxies that are gone.

    They are those that any daemon on the store issued; one that was issued just now may be missing for a moment.

    \b
    xdsctl cert list spiffe://cluster.local/ns/shop/sa/reviews
    """
    with connection.client() as client:
        found = JoiningClient(client).issued(identity)
    rows = [(each.serial, each.expires.ToJsonString(), each.revoked) for each in found]
    if output:
        data = [
            {"serial": serial, "expires": expires, "revoked": revoked} for serial, expires, revoked in rows
        ]
        print_data({"identity": identity, "certificates": data}, output)
    elif rows:
        print_table(
            _COLUMNS, [(serial, expires, "yes" if revoked else "no") for serial, expires, revoked in rows]
        )
    else:
        click.echo(f"No certificate of {identity} is known that holds", err=True)
