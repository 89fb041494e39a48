"""``xdsctl rollback``: make an object what it was."""

import click

from api.client import Client, NotFoundError
from api.commands.apply import print_results
from api.commands.connection import Connection, pass_connection
from api.commands.differences import unified
from api.commands.kind import KINDS_ARGUMENT
from api.commands.problems import report
from api.commands.refusing import failing, refuse
from api.commands.subject import Kinds, one_object
from api.kinds import qualified
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.wire import problem_from_wire
from xdsd.model.intent import KINDS
from xdsd.model.problem import ObjectRef, Reason


@click.command()
@click.argument("kinds", metavar="KIND|KIND/NAME", type=KINDS_ARGUMENT)
@click.argument("name", metavar="[NAME]", required=False)
@click.option(
    "--to",
    "revision",
    type=click.IntRange(1, (1 << 63) - 1),
    required=True,
    help="The revision to go back to.",
)
@click.option("-n", "--namespace", envvar="XDSCTL_NAMESPACE", default="default", show_default=True)
@click.option("--dry-run", is_flag=True, help="Show what would change, and write nothing.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["json", "yaml", "name"]),
    help="Print the object instead of the change.",
)
@pass_connection
def rollback(
    connection: Connection,
    kinds: Kinds,
    name: str | None,
    revision: int,
    namespace: str,
    dry_run: bool,
    output: str | None,
) -> None:
    """Make an object what it was at a revision, deleted ones included; an ordinary write, which is checked as any.

    The revisions are told by: xdsctl history KIND NAME
    """
    ref = one_object(kinds, name, namespace)
    with failing(output), connection.client() as client:
        live = _live(client, ref)
        response = client.rollback(ref, revision, dry_run=dry_run)
    problems = [problem_from_wire(problem) for problem in response.problems]
    if not response.accepted:
        try:
            refuse(problems, output)
        finally:
            if live and any(problem.reason is Reason.BROKEN_REFERENCE for problem in problems):
                name = f"{KINDS[ref.kind].singular}/{ref.name}"
                click.echo(f"To have it gone: xdsctl delete {name} -n {ref.namespace}", err=True)
    report(problems)
    if output:
        print_results(response.results, output, dry_run=dry_run)
        return
    _print(response.results[0], live, ref, revision, dry_run=dry_run)


def _live(client: Client, ref: ObjectRef) -> bytes:
    """Empty: there is none now."""
    try:
        return client.get(ref)
    except NotFoundError:
        return b""


def _print(result: pb.ObjectResult, live: bytes, ref: ObjectRef, revision: int, *, dry_run: bool) -> None:
    subject = qualified(ref.kind, ref.name)
    if result.outcome == pb.OUTCOME_UNCHANGED:
        click.echo(f"{subject} is what it was at revision {revision}; nothing changes")
        return
    click.echo(
        unified(f"{ref.kind}.{ref.namespace}.{ref.name}", live, result.object.json, ("live", "then")),
        nl=False,
    )
    suffix = " (server dry run)" if dry_run else ""
    click.echo(f"{subject} rolled back to revision {revision}{suffix}")
