"""``xdsctl global``: names that mean the same service in all meshes, what is where, and where traffic would go."""

from collections.abc import Iterator, Sequence
from typing import Any

import click

from api.commands.connection import Connection, pass_connection
from api.commands.output import print_data, print_table
from api.proto.xdsd.admin.v1 import admin_pb2 as pb

HERE = "<here>"


@click.command("global")
@click.argument("name", required=False)
@click.option("-n", "--namespace", default="", help="Of the services; all that you may see if left out.")
@click.option(
    "--from",
    "origin",
    default="",
    metavar="REGION/ZONE/SUBZONE",
    help="Where clients are; somewhere else than all endpoints if left out.",
)
@click.option("--client-namespace", default="", help="Of the clients; the service's own if left out.")
@click.option("-o", "--output", type=click.Choice(["json", "yaml"]), help="Data.")
@pass_connection
def everywhere(
    connection: Connection,
    name: str | None,
    namespace: str,
    origin: str,
    client_namespace: str,
    output: str | None,
) -> None:
    """List the names NAME.NAMESPACE.global: in which meshes and localities they are served, how many endpoints are
    well there (of a peer: gateways that lead to some that are), and what share of requests would go there now.

    Shares are those that proxies with a certificate are told; what they find out themselves about endpoints is not in them.
    """
    wanted = pb.ListGlobalRequest(
        namespace=namespace, name=name or "", locality=origin, client_namespace=client_namespace
    )
    with connection.client() as client:
        found = client.global_names(wanted)
    if name and not found:
        raise click.ClickException(
            f'there is no global name "{name}"; `xdsctl global` lists those that are, and there are none without a Peer'
        )
    if output:
        print_data({"names": [name_json(each) for each in found]}, output)
    else:
        columns = ("NAME", "MESH", "LOCALITY", "HEALTHY", "WEIGHT", "PRIORITY", "TRAFFIC")
        print_table(columns, list(_rows(found)))


def name_json(name: pb.GlobalName) -> dict[str, Any]:
    """A name as data; the fields are stable. ``peer`` is empty for this mesh."""
    return {
        "namespace": name.namespace,
        "host": name.host,
        "places": [
            {
                "peer": each.peer,
                "locality": each.locality,
                "healthy": each.healthy,
                "total": each.total,
                "weight": each.weight,
                "priority": each.priority,
                "percent": round(each.percent, 1),
            }
            for each in name.places
        ],
    }


def _rows(names: Sequence[pb.GlobalName]) -> Iterator[tuple[str, ...]]:
    for name in names:
        if not name.places:
            yield (name.host, "<none>", "-", "0/0", "-", "-", "0%")
        for each in name.places:
            never = each.priority < 0
            yield (
                name.host,
                each.peer or HERE,
                each.locality or "-",
                "-" if never else f"{each.healthy}/{each.total}",
                "-" if never else str(each.weight),
                "-" if never else str(each.priority),
                f"{each.percent:.0f}%",
            )
