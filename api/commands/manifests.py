"""Objects from files, folders and the standard input, and the daemon's problems put back to their lines."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from api.commands.problems import report
from api.commands.refusing import refuse
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.wire import problem_from_wire
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity

if TYPE_CHECKING:
    from xdsd.manifest import ParsedObject

STDIN = "-"
_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_MOST = 256 << 20
_Command = TypeVar("_Command", bound=Callable[..., Any])


def manifest_options(command: _Command) -> _Command:
    """-f and -R, as kubectl has them."""
    files = click.option(
        "-f",
        "--filename",
        "filenames",
        multiple=True,
        type=click.Path(path_type=str),
        help="A file, a folder of .yaml, .yml and .json files, or - for the standard input.",
    )
    recursive = click.option("-R", "--recursive", is_flag=True, help="Folders with all folders inside.")
    return files(recursive(command))


@dataclass(slots=True)
class Manifests:
    """The objects of some files, by what they are called."""

    objects: "dict[ObjectRef, ParsedObject]" = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def refs(self) -> list[ObjectRef]:
        return list(self.objects)

    def encoded(self) -> list[bytes]:
        """Each object as JSON."""
        from api.object_json import object_json  # noqa: PLC0415 - the kinds of objects take a moment to import

        return [object_json(parsed.object) for parsed in self.objects.values()]

    def located(self, problems: Iterable[pb.Problem]) -> list[Problem]:
        """The daemon's problems, each at the line of the file that it is about."""
        return self.placed(map(problem_from_wire, problems))

    def placed(self, problems: Iterable[Problem]) -> list[Problem]:
        """Problems of these objects, each at the line of the file that it is about."""
        found = []
        for problem in problems:
            parsed = self.objects.get(problem.object) if problem.object else None
            found.append(problem.at(parsed.file, parsed.line_of(problem.path)) if parsed else problem)
        return found

    def _add(self, parsed: "ParsedObject") -> None:
        ref = parsed.object.ref
        first = self.objects.setdefault(ref, parsed)
        if first is not parsed:
            message = f"is in {first.file}:{first.line_of()} as well; keep one of them"
            self.problems.append(
                Problem(Reason.DUPLICATE_OBJECT, message, ref).at(parsed.file, parsed.line_of())
            )


def load(
    filenames: Sequence[str], *, recursive: bool, namespace: str | None, output: str | None = None
) -> Manifests:
    """Everything that the files hold. Ends the command where there is nothing, or something is wrong, told as
    ``output`` says.

    With ``namespace``, objects of another one are refused, as kubectl does.
    """
    found = read(filenames, recursive=recursive, namespace=namespace)
    if namespace:
        found.problems += _elsewhere(found.objects.values(), namespace)
    if any(problem.severity is Severity.ERROR for problem in found.problems):
        refuse(found.problems, output)
    report(found.problems)
    if not found.objects:
        raise click.ClickException(f"{', '.join(filenames)}: there are no objects")
    return found


def read(filenames: Sequence[str], *, recursive: bool, namespace: str | None) -> Manifests:
    """Everything that the files hold, and all that is wrong with them; ``namespace`` is of objects that name none."""
    if not filenames:
        raise click.UsageError("name a file, a folder or - with -f")
    if filenames.count(STDIN) > 1:
        raise click.UsageError("the standard input can be read once")
    from xdsd.manifest import parse_manifest  # noqa: PLC0415 - the kinds of objects take a moment to import

    found = Manifests()
    for filename in filenames:
        for name, data in _contents(filename, recursive, found.problems):
            manifest = parse_manifest(data, name, default_namespace=namespace or "default")
            found.problems += manifest.problems
            for parsed in manifest.objects:
                found._add(parsed)  # noqa: SLF001 - this module builds it
    return found


def _contents(filename: str, recursive: bool, problems: list[Problem]) -> Iterator[tuple[str, bytes]]:
    if filename == STDIN:
        yield "stdin", sys.stdin.buffer.read(_MOST)
        return
    if filename.startswith(("http://", "https://")):
        raise click.UsageError(f"URLs are not taken; read what it is first: curl -sSfL {filename} | … -f -")
    path = Path(filename)
    files = _files(path, recursive) if path.is_dir() else [path]
    if not files:
        hint = "" if recursive else "; -R looks into folders inside"
        problems.append(
            Problem(Reason.UNREADABLE_FILE, f"has no .yaml, .yml or .json file{hint}", file=filename)
        )
    for file in files:
        try:
            with file.open("rb") as stream:
                yield str(file), stream.read(_MOST)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            problems.append(Problem(Reason.UNREADABLE_FILE, f"cannot be read: {why}", file=str(file)))


def _files(folder: Path, recursive: bool) -> list[Path]:
    found = folder.rglob("*") if recursive else folder.glob("*")
    return sorted(path for path in found if path.suffix in _SUFFIXES and path.is_file())


def _elsewhere(objects: "Iterable[ParsedObject]", namespace: str) -> Iterator[Problem]:
    for parsed in objects:
        ref = parsed.object.ref
        if ref.namespace != namespace:
            message = f"{ref.namespace!r} is not the namespace of -n {namespace}; leave one of the two out"
            problem = Problem(Reason.CONFLICT, message, ref, "metadata.namespace")
            yield problem.at(parsed.file, parsed.line_of("metadata.namespace"))
