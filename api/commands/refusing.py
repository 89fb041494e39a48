"""How commands end that a program asked for data: what was refused, and what failed, is data on the standard output too."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from api.commands.output import print_data
from api.commands.problems import problem_json, report
from xdsd.model.problem import Problem

_DATA = frozenset({"json", "yaml"})


def refuse(problems: Sequence[Problem], output: str | None, **more: Any) -> NoReturn:
    """Ends the command with 1. For people the problems go to the error stream; ``more`` stands beside them in data."""
    if output in _DATA:
        print_data({"problems": [problem_json(problem) for problem in problems], **more}, output)
    else:
        report(problems)
    raise click.exceptions.Exit(1)


@contextmanager
def failing(output: str | None) -> Iterator[None]:
    """What fails inside is told as it is otherwise, and in data as ``error`` beside no problems."""
    try:
        yield
    except click.UsageError:
        raise
    except click.ClickException as failure:
        if output in _DATA:
            print_data({"problems": [], "error": failure.format_message()}, output)
        raise
