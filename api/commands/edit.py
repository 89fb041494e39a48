"""``xdsctl edit``: change an object in an editor, as ``kubectl edit`` does.

What is saved is applied only if nobody wrote the object meanwhile. What is refused comes back into the editor with the
reasons on top; what cannot be applied after all stays in a file that is named.
"""

import json
import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click

from api.client import ApiError, Client, NotFoundError
from api.commands.apply import print_results
from api.commands.connection import Connection, pass_connection
from api.commands.kind import KINDS_ARGUMENT
from api.commands.output import to_yaml
from api.commands.problems import report, sentence
from api.commands.subject import Kinds, one_object
from api.kinds import not_found, qualified
from api.object_json import object_json
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.wire import problem_from_wire
from xdsd.manifest import AnyObject, parse_manifest
from xdsd.model.problem import Problem, Reason

_NAME = "edited"
EDITORS = ("XDSCTL_EDITOR", "KUBE_EDITOR", "EDITOR")
_HELP = (
    "Edit the object below; lines that begin with # are left out. Saving it as it is, or empty,",
    "cancels. What is refused comes back here with the reasons.",
)


@click.command()
@click.argument("kinds", metavar="KIND|KIND/NAME", type=KINDS_ARGUMENT)
@click.argument("name", metavar="[NAME]", required=False)
@click.option("-n", "--namespace", envvar="XDSCTL_NAMESPACE", default="default", show_default=True)
@click.option("--dry-run", is_flag=True, help="Let the daemon check everything and write nothing.")
@click.option(
    "-o", "--output", type=click.Choice(["json", "yaml", "name"]), help="Print what became of the object."
)
@pass_connection
def edit(
    connection: Connection,
    kinds: Kinds,
    name: str | None,
    namespace: str,
    dry_run: bool,
    output: str | None,
) -> None:
    """Change an object in $XDSCTL_EDITOR, $KUBE_EDITOR, $EDITOR or vi."""
    ref = one_object(kinds, name, namespace)
    with connection.client() as client:
        try:
            original = f"{to_yaml(json.loads(client.get(ref)))}\n"
        except NotFoundError as error:
            raise click.ClickException(not_found(ref)) from error
        with _draft() as draft:
            response = _Session(client, original, draft, dry_run=dry_run).run()
    if response is None:
        return
    report([problem_from_wire(problem) for problem in response.problems])
    (result,) = response.results
    if output:
        print_results(response.results, output, dry_run=dry_run)
    elif result.outcome == pb.OUTCOME_UNCHANGED:
        click.echo(f"{qualified(ref.kind, ref.name)} unchanged")
    else:
        click.echo(f"{qualified(ref.kind, ref.name)} edited{' (server dry run)' if dry_run else ''}")


class _Session:
    """One object, and the file in which it is edited until it is applied or given up."""

    def __init__(self, client: Client, original: str, draft: Path, *, dry_run: bool) -> None:
        self._client = client
        self._original = original
        (self._object,) = (parsed.object for parsed in parse_manifest(original.encode(), _NAME).objects)
        self._draft = draft
        self._dry_run = dry_run

    def run(self) -> pb.ApplyResponse | None:
        """What applying did; None: the user cancelled."""
        text, problems = self._original, list[Problem]()
        while True:
            try:
                edited = _edited(self._draft, text, problems)
            except click.ClickException:
                report(problems)
                raise
            if not edited.strip():
                click.echo("Edit cancelled, the file was saved empty.", err=True)
                return None
            if edited == self._original:
                click.echo("Edit cancelled, no changes made.", err=True)
                return None
            if edited == text:
                report(problems)
                raise click.ClickException(f"edit cancelled, nothing valid was saved; {_keep(edited)}")
            text = edited
            found = self._applied(text)
            if isinstance(found, pb.ApplyResponse):
                return found
            problems = found

    def _applied(self, text: str) -> pb.ApplyResponse | list[Problem]:
        """What applying did, or what is wrong with the text."""
        obj = _parsed(text, self._object)
        if isinstance(obj, list):
            return obj
        try:
            response = self._client.apply([object_json(obj)], dry_run=self._dry_run)
        except ApiError as error:
            raise click.ClickException(f"{error}\n{_keep(text)}") from error
        if response.accepted:
            return response
        problems = [problem_from_wire(problem) for problem in response.problems]
        for problem in problems:
            if (problem.reason, problem.path) == (Reason.CONFLICT, "metadata.resourceVersion"):
                raise click.ClickException(f"somebody else wrote it meanwhile: {problem}\n{_keep(text)}")
        return problems


def _parsed(text: str, original: AnyObject) -> AnyObject | list[Problem]:
    """The object as it is to be applied: where nobody wrote it since it was opened."""
    manifest = parse_manifest(text.encode(), _NAME, default_namespace=original.metadata.namespace)
    if manifest.problems:
        return list(manifest.problems)
    refs = [parsed.object.ref for parsed in manifest.objects]
    if refs != [original.ref]:
        said = ", ".join(map(str, refs)) or "nothing"
        message = f"is what is edited, and the text has {said}; kind, name and namespace stay as they are"
        return [Problem(Reason.INVALID_VALUE, message, original.ref)]
    obj = manifest.objects[0].object
    version = obj.metadata.resource_version or original.metadata.resource_version
    return replace(obj, metadata=replace(obj.metadata, resource_version=version))


def _edited(draft: Path, text: str, problems: Sequence[Problem]) -> str:
    """What the user makes of a text, without the comments that stand on top."""
    told = [*_HELP, "", *([""] * (len(problems) + 1) if problems else [])]
    for place, problem in enumerate(problems):
        where = f"line {problem.line + len(told)}: " if problem.line else ""
        said = sentence(replace(problem, file="", line=0))
        told[len(_HELP) + 1 + place] = " ".join(f"{where}{said}".split())
    draft.write_text("".join(f"# {line}".rstrip() + "\n" for line in told) + text)
    _open(draft)
    try:
        lines = draft.read_text().splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"what was saved cannot be read: {error}") from error
    while lines and lines[0].startswith("#"):
        del lines[0]
    return "".join(lines)


def _open(draft: Path) -> None:
    """Runs the editor until the user is done with it. Keys that interrupt are the editor's."""
    variable = next((name for name in EDITORS if os.environ.get(name)), "")
    command = os.environ[variable] if variable else "vi"
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        done = subprocess.run([*shlex.split(command), str(draft)], check=False)  # noqa: S603 - the user's own
    except (OSError, ValueError) as error:
        where = f"${variable}" if variable else "none of $XDSCTL_EDITOR, $KUBE_EDITOR and $EDITOR is set"
        raise click.ClickException(f"the editor {command!r} ({where}) cannot be started: {error}") from error
    finally:
        signal.signal(signal.SIGINT, before)
    if done.returncode != 0:
        raise click.ClickException(
            f"the editor {command!r} ended with {done.returncode}; nothing was changed"
        )


@contextmanager
def _draft() -> Iterator[Path]:
    """A file that others cannot read, in a folder of its own: what editors leave beside it goes too."""
    with tempfile.TemporaryDirectory(prefix="xdsctl-edit-") as folder:
        draft = Path(folder) / "object.yaml"
        draft.touch(0o600)
        yield draft


def _keep(text: str) -> str:
    """Saves a text where its author finds it; the sentence that says where."""
    number, name = tempfile.mkstemp(prefix="xdsctl-edit-", suffix=".yaml")
    with os.fdopen(number, "w") as stream:
        stream.write(text)
    return f"what you wrote is kept in {name}"
