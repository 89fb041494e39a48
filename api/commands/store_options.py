"""Which etcd a command works on itself, past any daemon: the daemon's own settings of the store, as options."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic_core import PydanticCustomError

from storage.etcd import EtcdSettings, EtcdTls
from xdsd.setting_values import StoreAddress, parse_store

_Command = TypeVar("_Command", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path, dir_okay=False)


class StoreType(click.ParamType[StoreAddress]):
    """``etcd://HOST:PORT,HOST:PORT``."""

    name = "store"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> StoreAddress:
        """The address; what is none is wrong usage."""
        if isinstance(value, StoreAddress):
            return value
        try:
            found = parse_store(str(value))
        except PydanticCustomError as error:
            self.fail(error.message(), param, ctx)
        if not found.etcd:
            self.fail("the embedded store is named by its folder: --state-dir DIR", param, ctx)
        return found


def store_options(command: _Command) -> _Command:
    """--store and how to be let in; they make what ``etcd_settings`` takes."""
    for decorate in (
        click.option(
            "--store-password-file", type=_FILE, help="File that holds the user's password for etcd."
        ),
        click.option("--store-user", help="The user's name for etcd."),
        click.option("--store-key", type=_FILE, help="File of the client certificate's key (PEM) for etcd."),
        click.option("--store-cert", type=_FILE, help="File of the client certificate (PEM) for etcd."),
        click.option(
            "--store-ca", type=_FILE, help="File of CA certificates (PEM) for etcd; by default the system's."
        ),
        click.option("--store", type=StoreType(), metavar="etcd://HOST:PORT,…", help="An etcd that runs."),
    ):
        command = decorate(command)
    return command


def etcd_settings(
    store: StoreAddress,
    store_ca: Path | None,
    store_cert: Path | None,
    store_key: Path | None,
    store_user: str | None,
    store_password_file: Path | None,
) -> EtcdSettings:
    """How to reach an etcd; over TLS unless it is on this machine and no certificate is named."""
    if (store_cert is None) != (store_key is None):
        raise click.UsageError("--store-cert and --store-key go together")
    if (store_user is None) != (store_password_file is None):
        raise click.UsageError("--store-user and --store-password-file go together")
    files = [_read(path) for path in (store_ca, store_cert, store_key)]
    tls = EtcdTls(*files) if any(files) or not store.is_loopback else None
    password = _read(store_password_file)
    return EtcdSettings(
        endpoints=tuple((address.host, address.port) for address in store.etcd),
        tls=tls,
        user=store_user or "",
        password=password.decode().rstrip("\r\n") if password else "",
        probe=b"/xdsd/",
    )


def _read(path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path else None
    except OSError as error:
        raise click.ClickException(
            f"{path} cannot be read: {(error.strerror or str(error)).lower()}"
        ) from error
