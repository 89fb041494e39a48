"""How commands reach the daemon, and how its refusals end them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import click
from pydantic_core import PydanticCustomError

from api.client import ApiError, Client
from xdsd.config import default_admin_address, default_state_dir
from xdsd.settings import Address, parse_address


class Connection:
    """Which daemon the commands of one invocation talk to."""

    def __init__(self, endpoint: str | None) -> None:
        self._endpoint = endpoint

    @property
    def address(self) -> Address:
        """The endpoint that was given, or the socket where a daemon of the same user has it."""
        if not self._endpoint:
            return default_admin_address(default_state_dir(os.environ, os.geteuid()))
        try:
            return parse_address(self._endpoint)
        except PydanticCustomError as error:
            raise click.BadParameter(error.message(), param_hint="--endpoint") from error

    def at(self, endpoint: str) -> "Connection":
        """To another daemon, as the same caller."""
        return Connection(endpoint)

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client; what goes wrong with the daemon ends the command with its sentence and exit code 1."""
        address = self.address
        try:
            with Client(address) as client:
                yield client
        except ApiError as error:
            raise click.ClickException(str(error)) from error


pass_connection = click.make_pass_decorator(Connection)
