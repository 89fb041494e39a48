"""``xdsctl snapshot``: the store in one file: saved from a daemon, looked at, and restored into a file or an etcd.

A file saved from either kind of store, by ``xdsctl`` or by ``etcdctl``, can be restored into the other, by either.
"""

import asyncio
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn

from api.commands.connection import Connection, pass_connection
from api.commands.hints import HintedGroup
from api.commands.output import DataFormat, counted, print_data, print_table, readable
from api.commands.restoring import OURS, restorable, restore_etcd, restore_file
from api.commands.store_options import etcd_settings, store_options
from api.etcd_client import EtcdClient, Message
from storage.base import StorageError
from storage.etcd import EtcdSettings, EtcdStore
from storage.snapshot_file import Snapshot, SnapshotError, decode
from xdsd.setting_values import StoreAddress

_FILE = click.Path(path_type=Path, dir_okay=False)
_STDOUT = Path("-")
_KERNELS = ("/dev/", "/proc/")


@click.group(cls=HintedGroup)
def snapshot() -> None:
    """Save the store into one file, look at such files, and restore them."""


@snapshot.command()
@click.argument("file", type=_FILE)
@click.option("-o", "--output", type=DataFormat, help="As data: what snapshot status says.")
@pass_connection
def save(connection: Connection, file: Path, output: str | None) -> None:
    """Save the daemon's store as it is now into FILE, readable by its owner alone; - is the standard output.

    A file that is there is replaced once the snapshot is whole; where FILE is a link, the file that it leads to.
    """
    piped = file == _STDOUT
    if piped and output:
        raise click.UsageError("-o prints on the standard output, and so does -; use one of the two")
    with _passing() if piped else _appearing(_regular(file)) as part:
        with connection.client() as client, _bar("saving", DownloadColumn(), quiet=bool(output)) as progress:
            _receive(EtcdClient(client).snapshot(), part, progress)
        about = _about(file, part.read_bytes())
    if output:
        print_data(about, output)
        return
    what = f"revision {about['revision']}, {counted(about['keys'], 'key')}, {readable(about['sizeBytes'])}"
    where = "written to the standard output" if piped else f"saved at {file}"
    click.echo(f"Snapshot {where}: {what}", err=piped)


@snapshot.command()
@click.argument("file", type=_FILE)
@click.option("-o", "--output", type=DataFormat, help="As data.")
def status(file: Path, output: str | None) -> None:
    """Tell what a snapshot holds, after checking that it is whole.

    With -o json: file, hash (SHA-256 of the file), revision, keys, leases, sizeBytes.
    """
    about = _about(file, _content(file))
    if output:
        print_data(about, output)
        return
    counts = (str(about["revision"]), str(about["keys"]), str(about["leases"]))
    row = (about["hash"][:16], *counts, readable(about["sizeBytes"]))
    print_table(("HASH", "REVISION", "TOTAL KEYS", "LEASES", "TOTAL SIZE"), [row])


@snapshot.command()
@click.argument("file", type=_FILE)
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="A daemon's state dir without a store.",
)
@store_options
@click.option(
    "--replace", "replacing", is_flag=True, help="Replace what is below /xdsd/ there already; for etcd."
)
@click.option("--all", "everything", is_flag=True, help="Keys that are not below /xdsd/, too.")
@click.option("--dry-run", is_flag=True, help="Say what would be restored, and write nothing.")
def restore(
    file: Path,
    state_dir: Path | None,
    store: StoreAddress | None,
    replacing: bool,
    everything: bool,
    dry_run: bool,
    **access: Any,  # those of etcd_settings, by name
) -> None:
    """Restore a snapshot: into the state dir of a daemon that has no store yet, or into an etcd that runs.

    A new store keeps revisions and history. An etcd is written to in transactions and counts revisions of its own; if it has
    keys below /xdsd/ already nothing is written, unless --replace says so: then they become those of the snapshot. Keys that
    are not below /xdsd/ are left out, and counted. Leases begin their time again.
    """
    if state_dir and store:
        raise click.UsageError("--state-dir is a daemon's own file and --store an etcd; use one of the two")
    if not state_dir and store is None:
        raise click.UsageError("say where to: --state-dir DIR, or --store etcd://HOST:PORT,…")
    if state_dir and (replacing or any(access.values())):
        raise click.UsageError("--replace and --store-… are for an etcd")
    settings = etcd_settings(store, **access) if store else None
    chosen, running, others = restorable(_decoded(file, _content(file)), everything=everything)
    removed, where = 0, str(store)
    try:
        if state_dir:
            where = str(restore_file(chosen, state_dir, dry_run=dry_run))
        if settings:
            removed = asyncio.run(_into_etcd(chosen, settings, replacing=replacing, dry_run=dry_run))
    except StorageError as error:
        raise click.ClickException(str(error)) from error
    verb, end = ("would be ", " (dry run)") if dry_run else ("", "")
    click.echo(
        f"{counted(len(chosen.kvs), 'key')} of revision {chosen.revision} {verb}restored into {where}{end}"
    )
    if removed:
        click.echo(f"{counted(removed, 'key')} that the snapshot does not have {verb}removed{end}")
    if running:
        click.echo(f"{counted(running, 'key')} left out: which daemons ran, and what each did for all")
    if others:
        click.echo(f"{counted(others, 'key')} left out, not below {OURS.decode()}; --all restores these too")


async def _into_etcd(chosen: Snapshot, settings: EtcdSettings, *, replacing: bool, dry_run: bool) -> int:
    total, told = len(chosen.kvs), 0
    store = EtcdStore(settings)
    try:
        with _bar("restoring", MofNCompleteColumn(), quiet=dry_run) as bar:

            def progress(done: int) -> None:
                nonlocal told
                told = done
                bar(done, total)

            return await restore_etcd(chosen, store, replacing=replacing, dry_run=dry_run, progress=progress)
    except StorageError as error:
        if told:
            raise click.ClickException(
                f"{error}\n{told} of {counted(total, 'key')} were restored before; --replace begins anew"
            ) from error
        raise
    finally:
        await store.close()


def _receive(pieces: Iterator[Message], part: Path, progress: Callable[[int, int], None]) -> None:
    """Writes what arrives, durably. A stream that ends too early is an error."""
    done = remaining = 0
    with part.open("wb") as stream:
        for piece in pieces:
            stream.write(piece.blob)
            done += len(piece.blob)
            remaining = piece.remaining_bytes
            progress(done, done + remaining)
        stream.flush()
        os.fsync(stream.fileno())
    if remaining or not done:
        raise click.ClickException(f"the snapshot broke off after {readable(done)}; try again")


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read: {_why(error)}") from error


def _decoded(file: Path, content: bytes) -> Snapshot:
    try:
        return decode(content)
    except SnapshotError as error:
        raise click.ClickException(f"{file} cannot be restored: {error}") from error


def _about(file: Path, content: bytes) -> dict[str, Any]:  # Any: JSON
    found = _decoded(file, content)
    return {
        "file": str(file),
        "hash": hashlib.sha256(content).hexdigest(),
        "revision": found.revision,
        "keys": len(found.kvs),
        "leases": len(found.leases),
        "sizeBytes": len(content),
    }


def _regular(file: Path) -> Path:
    """Where to write: what a link leads to. Ends the command where there is something else than a regular file."""
    target = file.resolve()
    of_the_kernel = any(str(each).startswith(_KERNELS) for each in (file.absolute(), target))
    if of_the_kernel or (target.exists() and not target.is_file()):
        raise click.ClickException(
            f"{file} is no regular file, and stays as it is; name a file, or - for the standard output"
        )
    return target


@contextmanager
def _passing() -> Iterator[Path]:
    """A file to write, its owner's alone, that is printed at the end."""
    with tempfile.NamedTemporaryFile(prefix="xdsctl-", suffix=".part") as stream:
        yield Path(stream.name)
        stream.seek(0)
        shutil.copyfileobj(stream, sys.stdout.buffer)


@contextmanager
def _appearing(file: Path) -> Iterator[Path]:
    """A file to write, its owner's alone, that takes ``file``'s place at the end; if that is not reached it goes."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".part", dir=file.parent)
        os.close(descriptor)
        part = Path(name)
        try:
            yield part
            part.replace(file)
            _sync(file.parent)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {_why(error)}") from error


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _bar(word: str, column: ProgressColumn, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal; what it is told is how much is done, and of how much."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda _done, _total: None
        return
    with Progress(TextColumn(word), BarColumn(), column, console=console, transient=True) as progress:
        task = progress.add_task(word, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
