"""A daemon, and xdsctl told where it is."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from api.cli import main
from tests.api.daemon import Daemon, daemon

Xdsctl = Callable[..., Result]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Daemon]:
    with daemon(tmp_path) as running:
        yield running


@pytest.fixture
def xdsctl(server: Daemon) -> Xdsctl:
    """Runs a command line against the daemon; ``input`` is its standard input."""

    def run(*arguments: str, input: str | bytes | None = None) -> Result:  # noqa: A002 - the runner's word
        environment = {"XDSCTL_ENDPOINT": server.endpoint}
        return CliRunner().invoke(main, arguments, input=input, env=environment, prog_name="xdsctl")

    return run


@pytest.fixture
def alone() -> Xdsctl:
    """Runs a command line that needs no daemon."""

    def run(*arguments: str, input: str | bytes | None = None) -> Result:  # noqa: A002 - the runner's word
        return CliRunner().invoke(main, arguments, input=input, prog_name="xdsctl")

    return run
