"""A real etcd, alone or three together, on loopback, with data dirs that outlive a restart."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path
from types import TracebackType
from typing import Self

from storage.base import Unavailable
from storage.etcd import EtcdSettings, EtcdStore, EtcdTls, open_etcd
from tests.lab.eventually import eventually
from tests.lab.missing import missing
from tests.lab.netns import Machine
from tests.lab.ports import free_ports
from xdsd.demo.program import Program

_READY_SECONDS = 180.0
_PATIENT = {"deadline": 60.0, "patience": 60.0}
"""Seconds that a call may take, and a watch be without an etcd, where a test says nothing of it: a disk may be busy."""


_SLOW_VOTE = ("--heartbeat-interval", "100", "--election-timeout", "1000")
"""Three who share a busy machine would call elections that nobody needs, over which writes are lost."""


@dataclass(frozen=True, slots=True)
class Release:
    """The programs of one version. ``etcdutl`` came with 3.5; before it ``etcdctl`` did its work."""

    folder: Path | None
    version: str

    def program(self, name: str) -> str:
        """The path of ``etcd``, ``etcdctl`` or ``etcdutl``."""
        found = shutil.which(name, path=str(self.folder) if self.folder else None)
        if found is None:
            missing(name, f"install etcd-server and etcd-client, or name a folder with {name} in XDSD_ETCD")
        return found

    def has(self, name: str) -> bool:
        return shutil.which(name, path=str(self.folder) if self.folder else None) is not None

    def __str__(self) -> str:
        return self.version


@cache
def releases() -> tuple[Release, ...]:
    """Those in the folders of XDSD_ETCD (separated by colons), else the one on the PATH; none if there is none."""
    folders = [Path(part) for part in os.environ.get("XDSD_ETCD", "").split(":") if part]
    found = [Release(folder, _version(folder)) for folder in folders]
    if not found and shutil.which("etcd") and shutil.which("etcdctl"):
        found = [Release(None, _version(None))]
    return tuple(found)


def release() -> Release:
    """The first of them; without one the test skips, and fails in CI."""
    if not releases():
        missing("etcd", "install etcd-server and etcd-client, or name a folder with them in XDSD_ETCD")
    return releases()[0]


def _version(folder: Path | None) -> str:
    program = shutil.which("etcd", path=str(folder) if folder else None)
    if program is None:
        raise AssertionError(f"there is no etcd in {folder}, which XDSD_ETCD names")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return said.split("etcd Version: ")[1].split()[0]


@dataclass(frozen=True, slots=True)
class Files:
    """Certificates for TLS: the CA, the server's and the client's with their keys."""

    ca: Path
    cert: Path
    key: Path
    client_cert: Path
    client_key: Path


class EtcdServer:
    """One member. ``async with EtcdServer(tmp_path) as etcd`` waits until it answers."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "one",
        version: Release | None = None,
        tls: Files | None = None,
        host: str = "127.0.0.1",
        flags: Sequence[str] = (),
        wrap: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.release = version or release()
        self.tls = tls
        self.host = host
        self.port, peer = free_ports(2)
        self.peer = f"http://{host}:{peer}"
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"
        self.data = folder / f"{name}.etcd"
        self._flags = list(flags)
        self._wrap = list(wrap)
        self.program = Program(name, self._command([self]), folder / f"{name}.log", _environment())

    def join(self, members: Sequence["EtcdServer"]) -> None:
        """Says who the members of the cluster are, before the start."""
        self.program.command[:] = self._command(members)

    def _command(self, members: Sequence["EtcdServer"]) -> list[str]:
        words = [*self._wrap, self.release.program("etcd"), "--name", self.name, "--data-dir", str(self.data)]
        words += ["--listen-client-urls", self.url, "--advertise-client-urls", self.url]
        words += ["--listen-peer-urls", self.peer, "--initial-advertise-peer-urls", self.peer]
        words += ["--initial-cluster", ",".join(f"{each.name}={each.peer}" for each in members)]
        words += ["--heartbeat-interval", "50", "--election-timeout", "500", *self._flags]
        if not self.release.version.startswith("3.4."):
            words.append("--unsafe-no-fsync")
        if self.tls:
            words += ["--cert-file", str(self.tls.cert), "--key-file", str(self.tls.key)]
            words += ["--trusted-ca-file", str(self.tls.ca), "--client-cert-auth"]
        return words

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        if error is not None:
            error.add_note(f"--- {self.name}: {self.program.log}\n{self.program.tail(15)}")

    async def start(self, *, wait: bool = True) -> None:
        """Starts it, again if it has ended."""
        await self.program.start()
        if wait:
            await self.ready()

    async def ready(self) -> None:
        """Returns once it answers and knows a leader."""
        async with self.store() as store:
            await eventually(
                lambda: self._answers(store), f"etcd {self.name} answers", timeout=_READY_SECONDS
            )

    async def _answers(self, store: EtcdStore) -> bool:
        assert self.program.running, self.program.tail()
        try:
            return bool((await store.status()).leader)
        except Unavailable:
            return False

    async def stop(self) -> None:
        """Ends it, if it runs."""
        if self.program.running:
            self.resume()
            await self.program.kill()

    async def kill(self) -> None:
        """Ends it as a power cut would."""
        await self.program.kill()

    def pause(self) -> None:
        """Lets it hang: connections stay, nothing is answered."""
        self.program.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on."""
        self.program.signal(signal.SIGCONT)

    def settings(self, **more: object) -> EtcdSettings:
        """How our store reaches it."""
        return settings([self], **more)

    @contextlib.asynccontextmanager
    async def store(self, **more: object) -> AsyncIterator[EtcdStore]:
        """Our store on it."""
        async with store_on([self], **more) as store:
            yield store

    async def restore(self, snapshot: Path, *flags: str) -> None:
        """Ends it, and starts it again as it was when ``snapshot`` was saved; ``flags`` go to ``snapshot restore``."""
        await self.stop()
        self.data.rename(self.data.with_suffix(f".{snapshot.name}"))
        tool = "etcdutl" if self.release.has("etcdutl") else "etcdctl"
        command = [self.release.program(tool), "snapshot", "restore", str(snapshot), *flags]
        command += ["--name", self.name, "--data-dir", str(self.data)]
        command += [
            "--initial-cluster",
            f"{self.name}={self.peer}",
            "--initial-advertise-peer-urls",
            self.peer,
        ]
        await run(*command)
        await self.start()

    async def etcdctl(self, *words: str, text: str = "", check: bool = True) -> str:
        """Runs its own ``etcdctl``; what it printed."""
        command = [self.release.program("etcdctl"), "--endpoints", self.url]
        command += ["--dial-timeout", "60s", "--command-timeout", "60s"]
        if self.tls:
            command += ["--cacert", str(self.tls.ca)]
            command += ["--cert", str(self.tls.client_cert), "--key", str(self.tls.client_key)]
        return await run(*command, *words, text=text, check=check)


class EtcdCluster:
    """Three members. ``async with EtcdCluster(tmp_path) as cluster`` waits until all answer."""

    def __init__(
        self,
        folder: Path,
        *,
        version: Release | None = None,
        flags: Sequence[str] = (),
        machines: Sequence[Machine] = (),
    ) -> None:
        """``machines`` are where the members run, one each; without them all run here."""
        self.members = [
            EtcdServer(
                folder,
                name=name,
                version=version,
                flags=(*_SLOW_VOTE, *flags),
                host=machine.address if machine else "127.0.0.1",
                wrap=("ip", "netns", "exec", machine.name) if machine else (),
            )
            for name, machine in zip_longest(("one", "two", "three"), machines)
        ]
        for member in self.members:
            member.join(self.members)

    async def __aenter__(self) -> Self:
        for member in self.members:
            await member.start(wait=False)
        for member in self.members:
            await member.ready()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in self.members:
            await member.stop()
            if error is not None:
                error.add_note(f"--- {member.name}: {member.program.log}\n{member.program.tail(15)}")

    def settings(self, **more: object) -> EtcdSettings:
        """How our store reaches all of them."""
        return settings(self.members, **more)

    @contextlib.asynccontextmanager
    async def store(self, *, first: EtcdServer | None = None, **more: object) -> AsyncIterator[EtcdStore]:
        """Our store on all of them, asking ``first`` first."""
        async with store_on(sorted(self.members, key=lambda each: each is not first), **more) as store:
            yield store

    def but(self, member: EtcdServer) -> list[EtcdServer]:
        """The other members."""
        return [each for each in self.members if each is not member]

    @property
    def address(self) -> str:
        """As the setting ``store`` says it."""
        return "etcd://" + ",".join(f"{each.host}:{each.port}" for each in self.members)

    async def leader(self) -> EtcdServer:
        """The member that leads."""
        store = await open_etcd(self.settings())
        try:
            leader = await eventually(lambda: _leader(store), "there is a leader")
        finally:
            await store.close()
        return next(each for each in self.members if each.url == leader)


async def _leader(store: EtcdStore) -> str:
    try:
        return (await store.status()).leader
    except Unavailable:
        return ""


def settings(members: Sequence[EtcdServer], **more: object) -> EtcdSettings:
    """How our store reaches these members."""
    tls = members[0].tls
    files = (
        EtcdTls(tls.ca.read_bytes(), tls.client_cert.read_bytes(), tls.client_key.read_bytes())
        if tls
        else None
    )
    endpoints = tuple((each.host, each.port) for each in members)
    return EtcdSettings(**{"endpoints": endpoints, "tls": files, **_PATIENT, **more})  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def store_on(members: Sequence[EtcdServer], **more: object) -> AsyncIterator[EtcdStore]:
    """Our store on these members."""
    store = await open_etcd(settings(members, **more))
    try:
        yield store
    finally:
        await store.close()


async def run(*command: str, text: str = "", check: bool = True) -> str:
    """Runs a program to its end; what it printed on both streams."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=_environment(),
    )
    output, _ = await process.communicate(text.encode())
    said = output.decode(errors="replace")
    assert process.returncode == 0 or not check, (
        f"{' '.join(command)} ended with {process.returncode}:\n{said}"
    )
    return said


def _environment() -> dict[str, str]:
    return {**os.environ, "ETCDCTL_API": "3", "ETCD_UNSUPPORTED_ARCH": ""}
