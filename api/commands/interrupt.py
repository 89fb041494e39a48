"""Ctrl-C, where it is how a command ends."""

from collections.abc import Iterator
from contextlib import contextmanager

import click


@contextmanager
def interruptible() -> Iterator[None]:
    """Ends what runs until interrupted with the exit code that a shell gives to it, without a word."""
    try:
        yield
    except KeyboardInterrupt:
        raise click.exceptions.Exit(130) from None


@contextmanager
def watching() -> Iterator[None]:
    """Lets Ctrl-C be how a watch ends, which is no failure."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(err=True)
