"""The command line of the daemon: ``xdsd serve``, and what is done while it does not run."""

import asyncio
import faulthandler
import os
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import click

# gRPC looks when it is imported; its lines of its own form would stand among ours.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from storage.base import Corrupted, StorageError
from xdsd.ca.authority import CaError
from xdsd.ca.beginning import CannotBegin
from xdsd.ca.sealing import SealingError
from xdsd.config import ConfigError, Settings, dump, load, settings
from xdsd.daemon import serve
from xdsd.demo.cli import demo_command
from xdsd.lost_ca import replace_lost_ca
from xdsd.state_dir import STORE_FILE
from xdsd.telemetry import make_logger
from xdsd.turns import new_loop
from xdsd.undumpable import forbid_dumps

CANNOT_START = (StorageError, CaError, SealingError)


def _flags(command: Any) -> Any:  # Any: click's decorators
    """Adds a flag for every setting."""
    for setting in reversed(settings()):
        kind = click.Choice([str(choice) for choice in setting.choices]) if setting.choices else None
        command = click.option(
            setting.flag,
            setting.field,
            type=kind,
            multiple=setting.repeatable,
            default=None,
            help=setting.help,
        )(command)
    return click.option("--config", type=click.Path(path_type=Path), help="YAML file with settings.")(command)


def _mending(state_dir: Path) -> str:
    return (
        f"To begin again from a snapshot, move {state_dir / STORE_FILE}* elsewhere and run "
        f"xdsctl snapshot restore FILE --state-dir {state_dir}"
    )


def _load(config: Path | None, flags: Mapping[str, object]) -> Settings:
    try:
        return load(config, os.environ, flags)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(f"xdsd: {problem}", err=True)
        raise SystemExit(2) from error


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("xdsd"), prog_name="xdsd", message="%(prog)s %(version)s")
def main() -> None:
    """xdsd, the control plane of a service mesh of Envoy proxies."""


@main.command("serve")
@_flags
def serve_command(config: Path | None, **flags: object) -> None:
    """Run the daemon until SIGTERM; SIGHUP reads the settings again."""
    options = _load(config, flags)
    faulthandler.enable()  # a watchdog's SIGABRT leaves in the log where each thread stood
    logger = make_logger(options.log_format, options.log_level, sys.stderr)
    if not forbid_dumps():
        logger.warning("a core of this process would hold keys, and the kernel would write one")
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(serve(options, logger, lambda: load(config, os.environ, flags)))
    except (*CANNOT_START, OSError) as error:
        _give_up(error, options)
    except BaseExceptionGroup as group:
        failed, faults = group.split(CANNOT_START)
        if failed is None or faults is not None:
            raise
        _give_up(_first(failed), options)


def _give_up(error: BaseException, options: Settings) -> NoReturn:
    """Ends the daemon with one sentence."""
    advice = f". {_mending(options.state_dir)}" if isinstance(error, Corrupted) else ""
    click.echo(f"xdsd: {error}{advice}", err=True)
    raise SystemExit(1) from error


def _first(error: BaseException) -> BaseException:
    """The first of the errors in a group of groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@main.command("check-config")
@_flags
def check_config(config: Path | None, **flags: object) -> None:
    """Say what is wrong with the settings, or print them as the daemon would take them."""
    click.echo(dump(_load(config, flags)), nl=False)


@main.command("new-ca")
@click.option("--begin", metavar="TRUST-DOMAIN", help="Do it; say the trust domain to mean it.")
@_flags
def new_ca(config: Path | None, begin: str | None, **flags: object) -> None:
    """Begin a new CA where the key is lost that sealed the old one in the store.

    Without --begin it says what would be lost, and changes nothing. Stop the daemons before.
    """
    options = _load(config, flags)
    try:
        asyncio.run(replace_lost_ca(options, begin, click.echo))
    except (CannotBegin, *CANNOT_START, OSError) as error:
        click.echo(f"xdsd: {error}", err=True)
        raise SystemExit(1) from error


main.add_command(demo_command)

if __name__ == "__main__":
    main()
