"""``xdsctl diff``: what apply would change."""

import difflib
import json
from typing import Any

import click

from api.commands.connection import Connection, pass_connection
from api.commands.manifests import load, manifest_options
from api.commands.output import print_data, to_yaml
from api.commands.problems import report
from api.proto.xdsd.admin.v1 import admin_pb2 as pb

DIFFERENT = 1
FAILED = 2
_KEPT_BY_THE_STORE = ("creationTimestamp", "generation", "resourceVersion", "uid")


@click.command()
@manifest_options
@click.option("-n", "--namespace", envvar="XDSCTL_NAMESPACE", help="For objects that do not name theirs.")
@click.option("-o", "--output", type=click.Choice(["json", "yaml"]), help="Both sides as data.")
@pass_connection
def diff(
    connection: Connection,
    filenames: tuple[str, ...],
    recursive: bool,
    namespace: str | None,
    output: str | None,
) -> None:
    """Show as a unified diff what apply would change, and change nothing.

    Exit codes as kubectl's: 0 nothing, 1 something, above 1 it could not be found out.
    """
    try:
        manifests = load(filenames, recursive=recursive, namespace=namespace)
        with connection.client() as client:
            response = client.diff(manifests.encoded())
    except click.UsageError:
        raise
    except (click.ClickException, click.exceptions.Exit) as failure:
        if isinstance(failure, click.ClickException):
            failure.show()
        raise click.exceptions.Exit(FAILED) from failure
    report(manifests.located(response.problems))
    if not response.accepted:
        raise click.exceptions.Exit(FAILED)
    if output:
        print_data({"diffs": [_json(each) for each in response.diffs]}, output)
    else:
        for each in response.diffs:
            click.echo(unified(each), nl=False)
    if response.diffs:
        raise click.exceptions.Exit(DIFFERENT)


def unified(each: pb.ObjectDiff) -> str:
    """The two sides as YAML, without what the store adds; as ``diff -u -N`` prints them."""
    name = f"{each.ref.kind}.{each.ref.namespace}.{each.ref.name}"
    live = _lines(each.live.json) if each.HasField("live") else []
    lines = difflib.unified_diff(live, _lines(each.proposed.json), f"live/{name}", f"applied/{name}")
    return "".join(lines)


def _lines(text: bytes) -> list[str]:
    item = json.loads(text)
    for field in _KEPT_BY_THE_STORE:
        item["metadata"].pop(field, None)
    return f"{to_yaml(item)}\n".splitlines(keepends=True)


def _json(each: pb.ObjectDiff) -> dict[str, Any]:
    return {
        "object": {"kind": each.ref.kind, "namespace": each.ref.namespace, "name": each.ref.name},
        "live": json.loads(each.live.json) if each.HasField("live") else None,
        "applied": json.loads(each.proposed.json),
    }
