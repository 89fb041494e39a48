"""``xdsctl delete``: remove objects, all or none."""

import json
from collections.abc import Mapping, Sequence

import click

from api.client import Client
from api.commands.connection import Connection, pass_connection
from api.commands.kind import KINDS_ARGUMENT
from api.commands.manifests import load, manifest_options
from api.commands.output import print_data
from api.commands.problems import report
from api.commands.refusing import failing, refuse
from api.commands.subject import named
from api.kinds import not_found, qualified
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.wire import problem_from_wire, ref_from_wire
from xdsd.model.declarer import SOURCE
from xdsd.model.intent import Kind
from xdsd.model.problem import ObjectRef


@click.command()
@click.argument("kinds", metavar="KIND|KIND/NAME", type=KINDS_ARGUMENT, required=False)
@click.argument("names", metavar="[NAME|KIND/NAME]…", nargs=-1)
@manifest_options
@click.option("-n", "--namespace", envvar="XDSCTL_NAMESPACE", help="Default: default, or what files say.")
@click.option("-l", "--selector", default="", help="Those with these labels.")
@click.option("--all", "everything", is_flag=True, help="All of the kind in the namespace.")
@click.option("--ignore-not-found", is_flag=True, help="What is not there is no failure.")
@click.option("--dry-run", is_flag=True, help="Let the daemon check everything and remove nothing.")
@click.option("-o", "--output", type=click.Choice(["json", "yaml", "name"]), help="Data, or names alone.")
@pass_connection
def delete(
    connection: Connection,
    kinds: tuple[tuple[Kind, ...], str] | None,
    names: tuple[str, ...],
    filenames: tuple[str, ...],
    recursive: bool,
    namespace: str | None,
    selector: str,
    everything: bool,
    ignore_not_found: bool,
    dry_run: bool,
    output: str | None,
) -> None:
    """Remove objects by kind and name, by label, or those of files; in one transaction."""
    wanted = kinds[0] if kinds else ()
    objects = named(kinds, names) if kinds else []
    _check(
        kind=bool(kinds),
        ways={"a name": objects, "-l": selector, "--all": everything, "-f": filenames},
    )
    with failing(output):
        refs = (
            load(filenames, recursive=recursive, namespace=namespace, output=output).refs if filenames else []
        )
    with failing(output), connection.client() as client:
        if not filenames:
            refs = _refs(client, wanted, objects, namespace or "default", selector)
        if not refs:
            click.echo("No resources found", err=True)
            _print([], output, dry_run=dry_run)
            return
        response = client.delete(refs, dry_run=dry_run, ignore_missing=ignore_not_found)
    missing = [] if ignore_not_found else [ref_from_wire(ref) for ref in response.missing]
    problems = [problem_from_wire(problem) for problem in response.problems]
    for ref in missing:
        click.echo(f"Error: {not_found(ref)}", err=True)
    if not response.accepted:
        refuse(problems, output, missing=[ref._asdict() for ref in missing])
    report(problems)
    _print(response.results, output, dry_run=dry_run)


def _print(results: Sequence[pb.ObjectResult], output: str | None, *, dry_run: bool) -> None:
    if output in {"json", "yaml"}:
        gone = [ref_from_wire(result.ref)._asdict() for result in results]
        print_data({"deleted": gone, "dryRun": dry_run}, output)
        return
    suffix = " (server dry run)" if dry_run else ""
    for result in results:
        done = qualified(result.ref.kind, result.ref.name)
        kind, _, name = done.partition("/")
        click.echo(done if output == "name" else f'{kind} "{name}" deleted{suffix}')


def _check(*, kind: bool, ways: Mapping[str, object]) -> None:
    """Refuses to guess what is to be removed."""
    said = [way for way, value in ways.items() if value]
    if len(said) > 1:
        raise click.UsageError(f"{said[0]} and {said[1]} both say what to remove; use one of the two")
    if kind and said == ["-f"]:
        raise click.UsageError("the files of -f say what to remove; leave the kind out")
    if not said or not (kind or said == ["-f"]):
        raise click.UsageError("say what to remove: KIND NAME, KIND -l SELECTOR, KIND --all, or -f FILE")


def _refs(
    client: Client,
    kinds: Sequence[Kind],
    names: Sequence[tuple[Kind, str]],
    namespace: str,
    selector: str,
) -> list[ObjectRef]:
    if names:
        return [ObjectRef(kind.kind, namespace, name) for kind, name in names]
    found = []
    for kind in kinds:
        for item in client.list(kind.kind, namespace, selector).objects:
            metadata = json.loads(item.json)["metadata"]
            if SOURCE in metadata.get("annotations", {}):
                continue  # It is not the store's, and is not meant by all.
            found.append(ObjectRef(kind.kind, metadata["namespace"], metadata["name"]))
    return found
