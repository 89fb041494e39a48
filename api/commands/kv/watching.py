"""``xdsctl kv watch``."""

import click
from aetcd import rpc

from api.commands.connection import Connection, pass_connection
from api.commands.etcd_output import View, output_options, view
from api.commands.interrupt import interruptible
from api.commands.kv.operations import span
from api.commands.kv.printing import print_watch
from api.etcd_client import EtcdClient, Message


@click.command()
@click.argument("key")
@click.argument("range_end", required=False)
@click.option("--prefix", is_flag=True, help="All keys that begin with KEY.")
@click.option("--from-key", is_flag=True, help="All keys from KEY on, in the order of bytes.")
@click.option("--rev", type=click.IntRange(min=0), default=0, help="From this revision on; 0: from now on.")
@click.option("--prev-kv", is_flag=True, help="Print what was there before, too.")
@click.option(
    "--progress-notify",
    "--progress",
    is_flag=True,
    help="Print now and then up to which revision all was told.",
)
@output_options
@pass_connection
def watch(
    connection: Connection,
    key: str,
    range_end: str | None,
    prefix: bool,
    from_key: bool,
    rev: int,
    prev_kv: bool,
    progress_notify: bool,
    write_out: str | None,
    output: str | None,
    hexed: bool,
) -> None:
    """Print every change of KEY, or of the keys from it up to RANGE_END, until interrupted."""
    shown = view(write_out, output, hexed)
    start, end = span(key, range_end, prefix=prefix, from_key=from_key)
    request = rpc.WatchCreateRequest(
        key=start, range_end=end, start_revision=rev, prev_kv=prev_kv, progress_notify=progress_notify
    )
    with interruptible(), connection.client() as client:
        for response in EtcdClient(client).watch(request):
            _show(shown, response)
        raise click.ClickException("the daemon ended the watch")


def _show(shown: View, response: Message) -> None:
    if response.canceled or response.compact_revision:
        why = response.cancel_reason
        if response.compact_revision:
            why = f"{why or 'the revision was compacted'}; the oldest that is kept is {response.compact_revision}"
        raise click.ClickException(f"the watch was ended by the server: {why or 'it did not say why'}")
    if response.created and not response.events:
        return
    print_watch(shown, response)
