"""``xdsctl apply``: make objects so, all or none."""

import json
from collections.abc import Mapping, Sequence

import click

from api.commands.connection import Connection, pass_connection
from api.commands.manifests import load, manifest_options
from api.commands.output import print_data
from api.commands.problems import report
from api.kinds import qualified
from api.proto.xdsd.admin.v1 import admin_pb2 as pb

OUTCOMES: Mapping[int, str] = {
    pb.OUTCOME_CREATED: "created",
    pb.OUTCOME_CONFIGURED: "configured",
    pb.OUTCOME_UNCHANGED: "unchanged",
    pb.OUTCOME_DELETED: "deleted",
}


@click.command()
@manifest_options
@click.option("-n", "--namespace", envvar="XDSCTL_NAMESPACE", help="For objects that do not name theirs.")
@click.option("--dry-run", is_flag=True, help="Let the daemon check everything and write nothing.")
@click.option(
    "-o", "--output", type=click.Choice(["json", "yaml", "name"]), help="Print what became of them."
)
@pass_connection
def apply(
    connection: Connection,
    filenames: tuple[str, ...],
    recursive: bool,
    namespace: str | None,
    dry_run: bool,
    output: str | None,
) -> None:
    """Create or replace the objects of files in one transaction.

    If anything is wrong with one of them, every problem is printed with its file and line, and nothing is
    changed.
    """
    manifests = load(filenames, recursive=recursive, namespace=namespace)
    with connection.client() as client:
        response = client.apply(manifests.encoded(), dry_run=dry_run)
    report(manifests.located(response.problems))
    if not response.accepted:
        raise click.exceptions.Exit(1)
    print_results(response.results, output, dry_run=dry_run)


def print_results(results: Sequence[pb.ObjectResult], output: str | None, *, dry_run: bool) -> None:
    """What became of each object, in kubectl's words."""
    if output in {"json", "yaml"}:
        items = [json.loads(result.object.json) for result in results]
        single = items[0] if len(items) == 1 else {"apiVersion": "v1", "kind": "List", "items": items}
        print_data(single, output)
        return
    suffix = " (server dry run)" if dry_run else ""
    for result in results:
        name = qualified(result.ref.kind, result.ref.name)
        click.echo(name if output == "name" else f"{name} {OUTCOMES[result.outcome]}{suffix}")
