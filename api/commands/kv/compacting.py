"""``xdsctl kv compact``, which etcdctl calls compaction."""

import click
from aetcd import rpc

from api.commands.connection import Connection, pass_connection
from api.commands.etcd_output import output_options, print_fields, print_ours, print_raw, view
from api.etcd_client import EtcdClient


@click.command()
@click.argument("revision", type=click.IntRange(min=1))
@click.option("--physical", is_flag=True, help="Return when the room is free.")
@click.option("--dry-run", is_flag=True, help="Say whether it could be done, and forget nothing.")
@output_options
@pass_connection
def compact(
    connection: Connection,
    revision: int,
    physical: bool,
    dry_run: bool,
    write_out: str | None,
    output: str | None,
    hexed: bool,
) -> None:
    """Forget what keys were before REVISION; watches from there on and reads of then fail from now on."""
    shown = view(write_out, output, hexed)
    with connection.client() as client:
        etcd = EtcdClient(client)
        if dry_run:
            # A read of that revision fails just where its compaction would.
            etcd.range(
                rpc.RangeRequest(key=b"\0", range_end=b"\0", count_only=True, limit=1, revision=revision)
            )
        else:
            etcd.compact(rpc.CompactionRequest(revision=revision, physical=physical))
    if shown.form == "ours":
        print_ours({"compactedRevision": revision, "dryRun": dry_run})
    elif shown.form == "json":
        print_raw({"compactedRevision": revision})
    elif shown.form == "fields":
        print_fields([("CompactedRevision", revision)])
    else:
        click.echo(f"compacted revision {revision}{' (dry run)' if dry_run else ''}")
