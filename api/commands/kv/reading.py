"""``xdsctl kv get``."""

from typing import Any

import click

from api.commands.connection import Connection, pass_connection
from api.commands.etcd_output import output_options, view
from api.commands.kv.operations import get_arguments, get_request
from api.commands.kv.printing import print_get
from api.etcd_client import EtcdClient


@click.command()
@get_arguments
@click.option("--print-value-only", is_flag=True, help="Values without their keys.")
@output_options
@pass_connection
def get(
    connection: Connection,
    /,
    print_value_only: bool,
    write_out: str | None,
    output: str | None,
    hexed: bool,
    **arguments: Any,  # those of get_request, by name
) -> None:
    """Print the value of KEY, or of the keys from it up to RANGE_END."""
    shown = view(write_out, output, hexed)
    if print_value_only and shown.form != "simple":
        raise click.UsageError("--print-value-only is for simple output")
    request = get_request(**arguments)
    with connection.client() as client:
        response = EtcdClient(client).range(request)
    print_get(shown, response, value_only=print_value_only, counted=request.count_only)
