"""``xdsctl``: operators' hands on a mesh.

Words and outputs are those that operators have in their fingers: kubectl's for objects, istioctl's for
proxies. Exit codes: 0 done, 1 refused or failed, 2 wrong usage. A command's module is imported when the
command is run.
"""

import errno
import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

import click

# gRPC looks when it is imported; what goes wrong is said once, by us.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from api.commands.connection import connection_of, connection_options
from api.commands.hints import OTHERS, HintedGroup

_COMMANDS: Mapping[str, str] = {
    "analyze": "api.commands.analyze:analyze",
    "api-resources": "api.commands.resources:api_resources",
    "apply": "api.commands.apply:apply",
    "authz": "api.commands.authz:authz",
    "bootstrap": "api.commands.bootstrap:bootstrap",
    "ca": "api.commands.ca:ca",
    "cert": "api.commands.cert.group:cert",
    "compaction": "api.commands.kv.compacting:compact",
    "completion": "api.commands.completion:completion",
    "config": "api.commands.config:config",
    "context": "api.commands.context:context",
    "delete": "api.commands.delete:delete",
    "describe": "api.commands.describe:describe",
    "diff": "api.commands.diff:diff",
    "edit": "api.commands.edit:edit",
    "get": "api.commands.get:get",
    "global": "api.commands.everywhere:everywhere",
    "history": "api.commands.history:history",
    "kv": "api.commands.kv.group:kv",
    "lease": "api.commands.lease:lease",
    "machine": "api.commands.machine:machine",
    "member": "api.commands.member:member",
    "problems": "api.commands.problems:problems",
    "proxies": "api.commands.proxies:proxies",
    "registries": "api.commands.registries:registries",
    "role": "api.commands.role:role",
    "rollback": "api.commands.rollback:rollback",
    "schema": "api.commands.resources:schema",
    "snapshot": "api.commands.snapshot:snapshot",
    "status": "api.commands.status:status",
    "secret": "api.commands.secret:secret",
    "token": "api.commands.token:token",
    "user": "api.commands.user:user",
    "version": "api.commands.status:version",
    "wait": "api.commands.wait:wait",
    "whoami": "api.commands.whoami:whoami",
}


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


class LazyGroup(HintedGroup):
    """A group whose commands are imported when they are needed."""

    hints = OTHERS

    def main(self, *arguments: Any, **options: Any) -> Any:  # click's signature
        """Runs a command line. What cannot be printed is a failure, told unless whoever read it went away."""
        try:
            try:
                return super().main(*arguments, **options)
            except UnicodeEncodeError as error:  # words that are no UTF-8 arrive as lone surrogates
                shown = error.object.encode(errors="surrogateescape").decode(errors="backslashreplace")
                click.echo(f"Error: {shown[:100]} is no UTF-8", err=True)
                sys.exit(2)
            finally:
                sys.stdout.flush()
        except BrokenPipeError:
            _give_up()
        except OSError as error:
            if error.filename is not None or error.errno not in _FULL:
                raise
            why = (error.strerror or str(error)).lower()
            click.echo(f"Error: the output cannot be written: {why}", err=True)
            _give_up()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Takes kubectl's ``--dry-run=server`` for ``--dry-run``, wherever it stands."""
        return super().parse_args(ctx, list(_our_dry_run(args)))

    def invoke(self, ctx: click.Context) -> Any:  # whatever the command gives
        """Runs the command. An option that is every command's, behind it, is told where it goes."""
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            name = error.option_name
            if not any(name in option.opts for option in self.params):
                raise
            behind = error.ctx.command_path.partition(" ")[2] if error.ctx else "COMMAND"
            message = f"{name} goes before the command: {ctx.info_name} {name} … {behind} …"
            raise click.UsageError(message, error.ctx) from error

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


def _our_dry_run(args: Sequence[str]) -> Iterator[str]:
    for index, word in enumerate(args):
        if word == "--":
            yield from args[index:]
            return
        option, _, where = word.partition("=")
        if option != "--dry-run" or not where:
            yield word
        elif where == "server":
            yield option
        elif where == "client":
            raise click.UsageError(
                "--dry-run=client is not there: the daemon checks everything; write --dry-run"
            )
        elif where != "none":
            raise click.UsageError(f"there is no {word}; write --dry-run")


def _give_up() -> NoReturn:
    """Ends the program; what is still to be printed is let go, or the interpreter would try it again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@connection_options
@click.pass_context
def main(ctx: click.Context, /, **said: str | None) -> None:
    """Declare what a mesh should do, and see what its proxies do."""
    ctx.obj = connection_of(ctx, said)


if __name__ == "__main__":
    main(prog_name="xdsctl")
