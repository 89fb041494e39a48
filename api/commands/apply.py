"""``xdsctl apply``: make objects so, all or none."""

import json
from collections.abc import Mapping, Sequence

import click
import grpc

from api.client import ApiError, Client
from api.commands.chunks import in_chunks
from api.commands.connection import Connection, pass_connection
from api.commands.manifests import Manifests, load, manifest_options
from api.commands.output import print_data
from api.commands.problems import report
from api.commands.refusing import failing, refuse
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
    "--chunk",
    type=click.IntRange(min=1),
    metavar="N",
    help="Write N objects at a time, each chunk as a transaction of its own: for more than the store takes at once.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["json", "yaml", "name"]),
    help="Print what became of them; of what is refused the problems.",
)
@pass_connection
def apply(
    connection: Connection,
    filenames: tuple[str, ...],
    recursive: bool,
    namespace: str | None,
    dry_run: bool,
    chunk: int | None,
    output: str | None,
) -> None:
    """Create or replace the objects of files in one transaction.

    If anything is wrong with one of them, every problem is printed with its file and line, and nothing is
    changed. An object that says its metadata.resourceVersion is applied only if nobody wrote it since.

    With --chunk the objects are first checked all, and then written in chunks, those that others name first. What stops
    a chunk leaves the ones before it written; applying the same files again goes on.
    """
    with failing(output):
        manifests = load(filenames, recursive=recursive, namespace=namespace, output=output)
        with connection.client() as client:
            if chunk and chunk < len(manifests.objects):
                results = in_chunks(client, manifests, chunk, dry_run=dry_run, output=output)
            else:
                results = _at_once(client, manifests, output, dry_run=dry_run)
    print_results(results, output, dry_run=dry_run)


def _at_once(
    client: Client, manifests: Manifests, output: str | None, *, dry_run: bool
) -> Sequence[pb.ObjectResult]:
    try:
        response = client.apply(manifests.encoded(), dry_run=dry_run)
    except ApiError as error:
        if error.code is not grpc.StatusCode.RESOURCE_EXHAUSTED:
            raise
        hint = "To write them in parts, each a transaction of its own: --chunk N"
        raise click.ClickException(f"{error}\n{hint}") from error
    problems = manifests.located(response.problems)
    if not response.accepted:
        refuse(problems, output)
    report(problems)
    return response.results


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
