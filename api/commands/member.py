"""``xdsctl member``: who serves the store."""

import click

from api.commands.connection import Connection, pass_connection
from api.commands.etcd_output import header_fields, print_fields, print_ours, print_raw, raw_json
from api.commands.hints import HintedGroup
from api.commands.output import print_table
from api.etcd_client import EtcdClient, Message

_COLUMNS = ("ID", "STATUS", "NAME", "PEER ADDRS", "CLIENT ADDRS", "IS LEARNER")


@click.group(cls=HintedGroup)
def member() -> None:
    """Look at the members of the store's cluster."""


@member.command(name="list")
@click.option("-o", "--output", type=click.Choice(["json"]), help="Data that people can read.")
@click.option(
    "-w",
    "--write-out",
    type=click.Choice(["simple", "json", "fields", "table"]),
    help="As etcdctl writes it.",
)
@pass_connection
def list_(connection: Connection, output: str | None, write_out: str | None) -> None:
    """List the members and where they listen."""
    if output and write_out:
        raise click.UsageError("-w is etcdctl's output and -o ours; use one of the two")
    with connection.client() as client:
        found = EtcdClient(client).members()
    if output:
        print_ours({"members": [_json(each) for each in found.members]})
    elif write_out == "json":
        print_raw(raw_json(found))
    elif write_out == "fields":
        print_fields(header_fields(found.header))
        for each in found.members:
            print_fields(_fields(each))
            click.echo()
    elif write_out == "simple":
        for each in found.members:
            click.echo(", ".join(_row(each)))
    else:
        print_table(_COLUMNS, [_row(each) for each in found.members])


def _row(each: Message) -> tuple[str, ...]:
    # A member that has no name yet was added and has not been started.
    return (
        f"{each.ID:x}",
        "started" if each.name else "unstarted",
        each.name,
        ",".join(each.peerURLs),
        ",".join(each.clientURLs),
        str(each.isLearner).lower(),
    )


def _json(each: Message) -> dict[str, object]:
    return {
        "id": f"{each.ID:x}",
        "name": each.name,
        "started": bool(each.name),
        "peers": list(each.peerURLs),
        "clients": list(each.clientURLs),
        "learner": each.isLearner,
    }


def _fields(each: Message) -> list[tuple[str, object]]:
    return [
        ("ID", each.ID),
        ("Name", each.name),
        *(("PeerURL", url) for url in each.peerURLs),
        *(("ClientURL", url) for url in each.clientURLs),
        ("IsLearner", each.isLearner),
    ]
