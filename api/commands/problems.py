"""``xdsctl problems``, and how every command prints problems."""

from collections.abc import Sequence
from typing import Any

import click

from api.commands.connection import Connection, pass_connection
from api.commands.output import DataFormat, print_data
from api.wire import problem_from_wire
from xdsd.model.problem import Problem, Severity


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
        for problem in found:
            click.echo(sentence(problem))
    else:
        click.echo("No problems found.")


def sentence(problem: Problem) -> str:
    """``reviews.yaml:14: VirtualService default/reviews spec.http[0]: … (OutOfRange)``."""
    mark = "warning: " if problem.severity is Severity.WARNING else ""
    return f"{mark}{problem} ({problem.reason})"


def report(problems_found: Sequence[Problem]) -> bool:
    """Prints problems to the error stream; true where one of them is an error."""
    for problem in problems_found:
        click.echo(sentence(problem), err=True)
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
