"""``xdsctl problems``, and how every command prints problems."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import click

from api.commands.connection import Connection, pass_connection
from api.commands.output import DataFormat, print_data
from api.wire import problem_from_wire
from xdsd.model.problem import Problem, Severity

_PLACE = re.compile(r"\[\d+\]")
_NAMED = 3
"""Fields of one sentence that are named beside the first; more are counted."""


@click.command()
@click.option("-n", "--namespace", default="", help="Only of objects in this namespace.")
@click.option("-o", "--output", type=DataFormat, help="As data.")
@pass_connection
def problems(connection: Connection, namespace: str, output: str | None) -> None:
    """List what is wrong now: broken files, objects that do not work together, rejected config."""
    with connection.client() as client:
        found = [problem_from_wire(problem) for problem in client.problems(namespace)]
    if output:
        print_data({"problems": [problem_json(problem) for problem in found]}, output)
    elif found:
        for line in sentences(found):
            click.echo(line)
    else:
        click.echo("No problems found.")


def sentence(problem: Problem) -> str:
    """``reviews.yaml:14: VirtualService default/reviews spec.http[0]: … (OutOfRange)``."""
    mark = "warning: " if problem.severity is Severity.WARNING else ""
    return f"{mark}{problem} ({problem.reason})"


def sentences(problems_found: Iterable[Problem]) -> list[str]:
    """A line for each problem; one for all that an object says of fields that differ in their places in lists alone."""
    alike: dict[tuple[object, ...], list[Problem]] = {}
    for problem in problems_found:
        shape = _PLACE.sub("[]", problem.path)
        key = (problem.reason, problem.severity, problem.message, problem.object, problem.file, shape)
        alike.setdefault(key if problem.object and problem.path else (problem,), []).append(problem)
    return [_said_once(each) for each in alike.values()]


def _said_once(alike: Sequence[Problem]) -> str:
    first, *others = alike
    others = [each for each in others if each != first]
    if not others:
        return sentence(first)
    paths = [each.path for each in others[:_NAMED]]
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    fields = "field" if len(others) == 1 else "fields"
    said = f"{first.message}; so it is at {len(others)} more {fields}: {', '.join(paths)}{more}"
    return sentence(replace(first, message=said))


def report(problems_found: Sequence[Problem]) -> bool:
    """Prints problems to the error stream; true where one of them is an error."""
    for line in sentences(problems_found):
        click.echo(line, err=True)
    return any(problem.severity is Severity.ERROR for problem in problems_found)


def warn(text: str) -> None:
    """Prints a remark to the error stream."""
    click.echo(f"warning: {text}", err=True)


def problem_json(problem: Problem) -> dict[str, Any]:
    """A problem as data; the names are stable."""
    return {
        "reason": problem.reason.value,
        "severity": problem.severity.value,
        "message": problem.message,
        "object": problem.object._asdict() if problem.object else None,
        "path": problem.path,
        "file": problem.file,
        "line": problem.line,
    }
