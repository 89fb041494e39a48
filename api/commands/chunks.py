"""Applying many objects in chunks, each of which is a transaction of its own.

All chunks are checked before the first is written, so that a mistake is found while nothing has changed. What only shows
when a chunk is written (another writer, a store that goes) leaves the chunks before it; the same files can be applied
again then.
"""

from collections.abc import Iterator, Sequence

import click

from api.client import ApiError, Client, LostError
from api.commands.manifests import Manifests
from api.commands.problems import report
from api.commands.refusing import refuse
from api.object_json import object_json
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from xdsd.model.problem import Severity

_ORDER = ("WorkloadEntry", "ServiceEntry", "DestinationRule", "Gateway", "Sidecar", "VirtualService")
"""What others name comes first, so that no proxy is told of what is not there yet."""


def in_chunks(
    client: Client, manifests: Manifests, size: int, *, dry_run: bool, output: str | None = None
) -> Sequence[pb.ObjectResult]:
    """What became of the objects. Ends the command where a chunk is refused, saying how far it came."""
    chunks = list(_chunks(manifests, size))
    checked = [client.apply(chunk, dry_run=True) for chunk in chunks]
    problems = manifests.located(problem for each in checked for problem in each.problems)
    refused = any(not each.accepted for each in checked)
    if refused:
        refuse([each for each in problems if dry_run or each.severity is Severity.ERROR], output)
    if dry_run:
        report(problems)
        click.echo(
            "Each chunk was checked by itself: what a warning misses may stand in another chunk.", err=True
        )
        return [result for each in checked for result in each.results]
    return _write(client, manifests, chunks)


def _write(client: Client, manifests: Manifests, chunks: Sequence[Sequence[bytes]]) -> list[pb.ObjectResult]:
    results: list[pb.ObjectResult] = []
    for number, chunk in enumerate(chunks, 1):
        try:
            response = client.apply(chunk)
        except ApiError as error:
            lost = isinstance(error, LostError)
            raise click.ClickException(f"{error}\n{_stopped(number, len(chunks), lost=lost)}") from error
        report(manifests.located(response.problems))
        if not response.accepted:
            raise click.ClickException(_stopped(number, len(chunks)))
        click.echo(f"chunk {number} of {len(chunks)}: revision {response.revision}", err=True)
        results += response.results
    return results


def _stopped(number: int, count: int, *, lost: bool = False) -> str:
    failed = "may not have been" if lost else "was not"
    written = f"the chunks before it ({number - 1} of {count}) are" if number > 1 else "nothing is"
    return f"chunk {number} of {count} {failed} written; {written}; apply the same files again to go on"


def _chunks(manifests: Manifests, size: int) -> Iterator[list[bytes]]:
    ranks = {kind: rank for rank, kind in enumerate(_ORDER)}
    objects = [parsed.object for parsed in manifests.objects.values()]
    objects.sort(key=lambda obj: ranks.get(obj.kind, len(ranks)))
    for start in range(0, len(objects), size):
        yield [object_json(obj) for obj in objects[start : start + size]]
