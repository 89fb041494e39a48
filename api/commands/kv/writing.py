"""``xdsctl kv put`` and ``xdsctl kv del``."""

import sys
from typing import Any

import click
from aetcd import rpc

from api.commands.connection import Connection, pass_connection
from api.commands.etcd_output import output_options, view
from api.commands.kv.dry_run import print_effect
from api.commands.kv.operations import (
    delete_arguments,
    delete_request,
    put_arguments,
    put_request,
    text_bytes,
)
from api.commands.kv.printing import print_delete, print_put
from api.commands.problems import warn
from api.etcd_client import EtcdClient

_DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be, and write nothing.")


@click.command()
@put_arguments
@_DRY_RUN
@output_options
@pass_connection
def put(
    connection: Connection,
    /,
    value: str | None,
    dry_run: bool,
    write_out: str | None,
    output: str | None,
    hexed: bool,
    **arguments: Any,  # those of put_request, by name
) -> None:
    """Write VALUE, or without one the standard input, under KEY. A VALUE that begins with - comes after --."""
    shown = view(write_out, output, hexed)
    ignored = arguments["ignore_value"]
    if ignored and value is not None:
        raise click.UsageError("--ignore-value keeps the value that is there; leave VALUE out")
    typed = b"" if ignored else sys.stdin.buffer.read() if value is None else text_bytes(value)
    request = put_request(value=typed, **arguments)
    with connection.client() as client:
        if dry_run:
            print_effect(client, [rpc.RequestOp(request_put=request)], shown)
        else:
            print_put(shown, EtcdClient(client, warn=warn).put(request))


@click.command(name="del")
@delete_arguments
@_DRY_RUN
@output_options
@pass_connection
def delete(
    connection: Connection,
    /,
    dry_run: bool,
    write_out: str | None,
    output: str | None,
    hexed: bool,
    **arguments: Any,  # those of delete_request, by name
) -> None:
    """Remove KEY, or the keys from it up to RANGE_END, and print how many there were."""
    shown = view(write_out, output, hexed)
    request = delete_request(**arguments)
    with connection.client() as client:
        if dry_run:
            print_effect(client, [rpc.RequestOp(request_delete_range=request)], shown)
        else:
            print_delete(shown, EtcdClient(client, warn=warn).delete(request))
