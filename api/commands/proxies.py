"""``xdsctl proxies``: who is connected, and how far each type has come."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from api.commands.blaming import who_is_to_blame
from api.commands.connection import Connection, pass_connection
from api.commands.output import print_data, print_table
from api.commands.waiting import tell_of_waiting
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from xdsd.snapshot import CLUSTER, ENDPOINT, EXTENSION, LISTENER, ROUTE, SECRET, VIRTUAL_HOST

TYPE_COLUMNS: Mapping[str, str] = {
    CLUSTER: "CDS",
    LISTENER: "LDS",
    ENDPOINT: "EDS",
    ROUTE: "RDS",
    VIRTUAL_HOST: "VHDS",
    SECRET: "SDS",
    EXTENSION: "ECDS",
}
_SELDOM = frozenset({VIRTUAL_HOST})
"""Types that have a column only if somebody asks for them."""

STATES: Mapping[int, str] = {
    pb.SYNC_STATE_NOT_SENT: "NOT SENT",
    pb.SYNC_STATE_SYNCED: "SYNCED",
    pb.SYNC_STATE_STALE: "STALE",
    pb.SYNC_STATE_NACKED: "NACKED",
}


@click.command()
@click.argument("node", required=False)
@click.option("-o", "--output", type=click.Choice(["json", "yaml", "wide"]), help="Data, or more columns.")
@pass_connection
def proxies(connection: Connection, node: str | None, output: str | None) -> None:
    """List connected proxies and whether each type is SYNCED, STALE, NOT SENT or NACKED.

    With NODE (a node id, or name.namespace) only that proxy.
    """
    with connection.client() as client:
        found = sorted(client.proxies(), key=lambda proxy: (proxy.namespace, proxy.name, proxy.node_id))
        tell_of_waiting(client)
    if node:
        found = [proxy for proxy in found if node in {proxy.node_id, f"{proxy.name}.{proxy.namespace}"}]
        if not found:
            raise click.ClickException(
                f'proxy "{node}" is not connected; `xdsctl proxies` lists those that are'
            )
    if output in {"json", "yaml"}:
        print_data({"proxies": [_json(proxy) for proxy in found]}, output)
        return
    if not found:
        click.echo("No proxies are connected.", err=True)
        return
    _table(found, wide=output == "wide")
    if _errors(found):
        with connection.client() as client:
            for line in who_is_to_blame([client]):
                click.echo(line, err=True)


def _table(found: Sequence[pb.ProxyStatus], *, wide: bool) -> None:
    asked = {status.type_url for proxy in found for status in proxy.types}
    types = [each for each in TYPE_COLUMNS if each in asked or each not in _SELDOM]
    columns = ["NAME", "ROLE", *(TYPE_COLUMNS[each] for each in types)]
    more = ["VERSION", "CONNECTED", "PEER", "IDENTITY", "NODE"] if wide else ["VERSION"]
    rows = []
    for proxy in found:
        states = {status.type_url: STATES[status.state] for status in proxy.types}
        row = [f"{proxy.name}.{proxy.namespace}", proxy.role]
        row += [states.get(type_url, "NOT SENT") for type_url in types]
        row.append(proxy.version or "-")
        if wide:
            row += [_time(proxy), proxy.peer or "-", proxy.identity or "-", proxy.node_id]
        rows.append(row)
    print_table(columns + more, rows)


def _errors(found: Sequence[pb.ProxyStatus]) -> bool:
    """Prints what rejecting proxies said, below the table: it would tear the columns apart; whether any did."""
    told = False
    for proxy in found:
        for status in proxy.types:
            if status.error:
                kind = TYPE_COLUMNS.get(status.type_url, status.type_url)
                click.echo(f"{proxy.name}.{proxy.namespace} rejects {kind}: {status.error}", err=True)
                told = True
    return told


def _json(proxy: pb.ProxyStatus) -> dict[str, Any]:
    return {
        "node": proxy.node_id,
        "role": proxy.role,
        "name": proxy.name,
        "namespace": proxy.namespace,
        "address": proxy.address,
        "peer": proxy.peer,
        "version": proxy.version,
        "identity": proxy.identity or None,
        "connected": _time(proxy),
        "types": {
            TYPE_COLUMNS.get(status.type_url, status.type_url).lower(): {
                "typeUrl": status.type_url,
                "state": STATES[status.state],
                "resources": status.resources,
                "error": status.error,
            }
            for status in proxy.types
        },
    }


def _time(proxy: pb.ProxyStatus) -> str:
    return proxy.connected.ToJsonString() if proxy.HasField("connected") else "-"
