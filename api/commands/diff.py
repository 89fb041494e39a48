"""``xdsctl diff``: what apply would change, or what changed between two revisions."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from api.commands.connection import Connection, pass_connection
from api.commands.differences import unified
from api.commands.kind import KINDS_ARGUMENT
from api.commands.manifests import load, manifest_options
from api.commands.output import print_data
from api.commands.problems import report
from api.commands.subject import Kinds, subject
from api.proto.xdsd.admin.v1 import admin_pb2 as pb

DIFFERENT = 1
FAILED = 2
_LIVE = ("live", "applied")
_RANGE = re.compile(r"([0-9]{1,18})\.\.([0-9]{1,18})?", re.ASCII)


class RevisionsType(click.ParamType[tuple[int, int]]):
    """``A..B``, or ``A..`` for what changed since; the second is 0 then."""

    name = "A..B"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Both revisions."""
        if isinstance(value, tuple):
            return value
        found = _RANGE.fullmatch(str(value))
        if found is None or found[2] == "0":
            self.fail(f"{value!r} is no range of revisions; write 40..42, or 40.. for up to now", param, ctx)
        return int(found[1]), int(found[2] or 0)


@click.command()
@click.argument("kinds", metavar="[KIND|KIND/NAME|all]", type=KINDS_ARGUMENT, required=False)
@click.argument("name", metavar="[NAME]", required=False)
@manifest_options
@click.option("--revision", "revisions", type=RevisionsType(), help="What changed between two revisions.")
@click.option(
    "-n",
    "--namespace",
    envvar="XDSCTL_NAMESPACE",
    help="For objects that do not name theirs; with --revision the only one.",
)
@click.option("-A", "--all-namespaces", is_flag=True, help="With --revision: of every namespace.")
@click.option("-o", "--output", type=click.Choice(["json", "yaml"]), help="Both sides as data.")
@pass_connection
def diff(
    connection: Connection,
    kinds: Kinds | None,
    name: str | None,
    filenames: tuple[str, ...],
    recursive: bool,
    revisions: tuple[int, int] | None,
    namespace: str | None,
    all_namespaces: bool,
    output: str | None,
) -> None:
    """Show as a unified diff what apply would change, or what changed between two revisions; change nothing.

    Exit codes as kubectl's: 0 nothing, 1 something, above 1 it could not be found out.
    """
    if filenames and revisions:
        raise click.UsageError(
            "-f compares files with what is there, --revision two revisions; use one of the two"
        )
    if revisions is None and not filenames:
        raise click.UsageError("say what to compare: files with -f, or revisions with --revision A..B")
    if filenames and (kinds or all_namespaces):
        raise click.UsageError("a kind, a name and -A go with --revision, not with -f")
    if revisions is None:
        found = _or_failed(lambda: _applied(connection, filenames, recursive, namespace))
        _print(found, output, _LIVE)
        return
    # A name alone is of the default namespace; without one everything is meant.
    fallback = "default" if name or (kinds and kinds[1]) else ""
    wanted = subject(kinds, name, namespace or fallback, everywhere=all_namespaces)
    first, last = revisions
    request = pb.DiffRevisionsRequest(
        from_revision=first, to_revision=last, kind=wanted.kind, namespace=wanted.namespace, name=wanted.name
    )
    found = _or_failed(lambda: _between(connection, request))
    _print(found, output, (f"revision-{first}", f"revision-{last}" if last else "live"))


def _applied(
    connection: Connection, filenames: Sequence[str], recursive: bool, namespace: str | None
) -> Sequence[pb.ObjectDiff]:
    manifests = load(filenames, recursive=recursive, namespace=namespace)
    with connection.client() as client:
        response = client.diff(manifests.encoded())
    report(manifests.located(response.problems))
    if not response.accepted:
        raise click.exceptions.Exit(FAILED)
    return response.diffs


def _between(connection: Connection, request: pb.DiffRevisionsRequest) -> Sequence[pb.ObjectDiff]:
    with connection.client() as client:
        return client.diff_revisions(request).diffs


def _or_failed(find: Callable[[], Sequence[pb.ObjectDiff]]) -> Sequence[pb.ObjectDiff]:
    """What was found; 1 says that something differs, so what goes wrong ends with another code."""
    try:
        return find()
    except click.UsageError:
        raise
    except click.ClickException as failure:
        failure.show()
        raise click.exceptions.Exit(FAILED) from failure
    except click.exceptions.Exit as failure:
        raise click.exceptions.Exit(FAILED) from failure


def _print(diffs: Iterable[pb.ObjectDiff], output: str | None, sides: tuple[str, str]) -> None:
    """Ends the command with 1 where there is any."""
    found = list(diffs)
    if output:
        print_data({"diffs": [_json(each, revisions=sides != _LIVE) for each in found]}, output)
    else:
        for each in found:
            name = f"{each.ref.kind}.{each.ref.namespace}.{each.ref.name}"
            click.echo(unified(name, each.live.json, each.proposed.json, sides), nl=False)
    if found:
        raise click.exceptions.Exit(DIFFERENT)


def _json(each: pb.ObjectDiff, *, revisions: bool) -> dict[str, Any]:
    first, second = ("before", "after") if revisions else ("live", "applied")
    return {
        "object": {"kind": each.ref.kind, "namespace": each.ref.namespace, "name": each.ref.name},
        first: json.loads(each.live.json) if each.HasField("live") else None,
        second: json.loads(each.proposed.json) if each.HasField("proposed") else None,
    }
