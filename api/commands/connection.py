"""Which daemon commands talk to and as whom, and how its refusals end them.

What is said twice counts in this order: flags, the context that ``--context`` names, the environment, the context that
``XDSCTL_CONTEXT`` names or the current one. The last two are left aside as a whole where flags or the environment say
an endpoint: what proves who calls goes to the daemon that it is for.
"""

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from pydantic_core import PydanticCustomError

from api.client import ApiError, Client, connect
from api.contexts import OPTIONS, Context, Contexts, ContextsError, contexts_file, load
from api.credentials import Credentials, CredentialsError, check_token, load_tls, load_token
from xdsd.setting_values import Address, TcpAddress, parse_address
from xdsd.state_dir import default_admin_address, default_state_dir

_HELP = {
    "endpoint": (
        "ADDRESS",
        (
            "The daemon's admin address: unix:PATH or HOST:PORT, or several, comma separated, of which the first that "
            "answers is taken. Default: the socket in the default state dir."
        ),
    ),
    "ca": ("FILE", "The CA (PEM) that made the daemon's certificate; default: those the system trusts."),
    "cert": ("FILE", "Your client certificate (PEM)."),
    "key": ("FILE", "Its key (PEM)."),
    "server_name": ("NAME", "The name in the daemon's certificate, where it is not the endpoint's."),
    "token_file": ("FILE", "Holds your token; XDSCTL_TOKEN may have the token itself."),
}


@dataclass(frozen=True, slots=True)
class Given:
    """What flags and the environment say, by attributes of ``Context``, and which context is named there."""

    flags: Mapping[str, str]
    environment: Mapping[str, str]
    context: str = ""
    by_flag: bool = False


class Connection:
    """Which daemon the commands of one invocation talk to, and as whom."""

    def __init__(self, given: Given, environ: Mapping[str, str], endpoint: str = "") -> None:
        self._given = given
        self._environ = environ
        self._endpoint = endpoint

    @cached_property
    def contexts(self) -> Contexts:
        """Those of the file."""
        try:
            return load(self.file)
        except ContextsError as error:
            raise click.ClickException(str(error)) from error

    @property
    def file(self) -> Path:
        """Where contexts are kept."""
        return contexts_file(self._environ)

    @property
    def context(self) -> str:
        """The name of the context that counts; empty if none does."""
        given = self._given
        if given.context and given.by_flag:
            return given.context
        if given.flags.get("endpoint") or given.environment.get("endpoint"):
            return ""
        return given.context or self.contexts.current

    @cached_property
    def settings(self) -> Context:
        """What all places together say."""
        given, name = self._given, self.context
        context: Mapping[str, str] = {}
        if name:
            if name not in self.contexts.contexts:
                known = ", ".join(sorted(self.contexts.contexts)) or "none"
                raise click.ClickException(f"there is no context {name} in {self.file}; there are: {known}")
            said = self.contexts.contexts[name]
            context = {each: text for each in OPTIONS.values() if (text := getattr(said, each))}
        named = name and given.by_flag
        layers = (
            (context, given.environment, given.flags)
            if not named
            else (given.environment, context, given.flags)
        )
        return replace(Context(), **{key: value for layer in layers for key, value in layer.items()})

    @property
    def addresses(self) -> Sequence[Address]:
        """Where to look for the daemon: what was said, or the socket where a daemon of the same user has it."""
        endpoint = self._endpoint or self.settings.endpoint
        if not endpoint:
            return [default_admin_address(default_state_dir(self._environ, os.geteuid()))]
        try:
            return [parse_address(part.strip()) for part in endpoint.split(",")]
        except PydanticCustomError as error:
            raise click.BadParameter(error.message(), param_hint="--endpoint") from error

    def at(self, endpoint: str) -> "Connection":
        """To another daemon, as the same caller."""
        return Connection(self._given, self._environ, endpoint)

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client; what goes wrong with the daemon ends the command with its sentence and exit code 1."""
        addresses = [(address, self._credentials(address)) for address in self.addresses]
        try:
            with connect(addresses) as client:
                yield client
        except ApiError as error:
            raise click.ClickException(str(error)) from error

    def _credentials(self, address: Address) -> Credentials:
        """What proves who calls. TLS goes to every port beyond this machine, and to one on it where it is asked for."""
        said = self.settings
        files = [Path(text).expanduser() if text else None for text in (said.ca, said.cert, said.key)]
        asked = any(files) or bool(said.server_name)
        secure = isinstance(address, TcpAddress) and (asked or not address.is_loopback)
        try:
            tls = load_tls(files[0], files[1], files[2], said.server_name) if secure else None
            return Credentials(tls, self._token())
        except CredentialsError as error:
            raise click.ClickException(str(error)) from error

    def _token(self) -> str:
        text = self._environ.get("XDSCTL_TOKEN", "")
        given, file = self._given, self.settings.token_file
        if text and given.environment.get("token_file"):
            raise click.UsageError(
                "XDSCTL_TOKEN and XDSCTL_TOKEN_FILE both give a token; unset one of the two"
            )
        by_context = self.context and given.by_flag and self.contexts.contexts[self.context].token_file
        if text and not given.flags.get("token_file") and not by_context:
            return check_token(text.strip(), "XDSCTL_TOKEN")
        if not file:
            return ""
        path = Path(file).expanduser()
        token = load_token(path)
        if path.stat().st_mode & stat.S_IROTH:
            click.echo(
                f"warning: everybody on this machine can read the token in {path}; chmod 600 {path}", err=True
            )
        return token


def connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that say which daemon and as whom."""
    context = click.option(
        "--context", envvar="XDSCTL_CONTEXT", metavar="NAME", help="One of `xdsctl context list`."
    )
    for attribute, (metavar, text) in reversed(_HELP.items()):
        flag = f"--{attribute.replace('_', '-')}"
        variable = f"XDSCTL_{attribute.upper()}"
        command = click.option(flag, attribute, envvar=variable, metavar=metavar, help=text)(command)
    return context(command)


def connection_of(ctx: click.Context, said: Mapping[str, str | None]) -> Connection:
    """Of what a command line and the environment say."""
    flags: dict[str, str] = {}
    environment: dict[str, str] = {}
    for name, value in said.items():
        if value:
            by_flag = ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
            (flags if by_flag else environment)[name] = value
    by_flag = "context" in flags
    context = flags.pop("context", "") or environment.pop("context", "")
    return Connection(Given(flags, environment, context, by_flag), os.environ)


pass_connection = click.make_pass_decorator(Connection)
