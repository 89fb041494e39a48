"""A real etcd for one test module, and its own etcdctl beside xdsctl."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from click.testing import CliRunner, Result

from api.cli import main
from tests.lab.etcd import release
from tests.lab.ports import free_ports

_PATIENCE = 60
"""Seconds that a busy machine may take for anything."""


@dataclass(frozen=True)
class Etcd:
    """An etcd that runs, and both programs that talk to it."""

    endpoint: str
    etcdctl_binary: str

    @property
    def flags(self) -> tuple[str, ...]:
        """Whom etcdctl asks, and how long it waits."""
        return (
            f"--endpoints={self.endpoint}",
            f"--dial-timeout={_PATIENCE}s",
            f"--command-timeout={_PATIENCE}s",
        )

    def etcdctl(self, *words: str, text: str = "") -> tuple[int, str]:
        """etcdctl's exit code and standard output."""
        done = subprocess.run(
            [self.etcdctl_binary, *self.flags, *words],
            input=text.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "ETCDCTL_API": "3"},
            check=False,
            timeout=2 * _PATIENCE,
        )
        return done.returncode, done.stdout.decode("utf-8", "surrogateescape")

    def xdsctl(self, *words: str, text: str | bytes = "") -> Result:
        """What ``xdsctl`` says of the same."""
        return CliRunner().invoke(main, ["--endpoint", self.endpoint, *words], input=text, prog_name="xdsctl")


@contextmanager
def running_etcd(folder: Path) -> Iterator[Etcd]:
    """Runs while it lasts, with its data in ``folder``."""
    found = release()
    client, peer = (f"http://127.0.0.1:{port}" for port in free_ports(2))
    with (folder / "etcd.log").open("wb") as log:
        process = subprocess.Popen(
            [
                found.program("etcd"),
                f"--data-dir={folder / 'etcd'}",
                f"--listen-client-urls={client}",
                f"--advertise-client-urls={client}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        endpoint = client.removeprefix("http://")
        with grpc.insecure_channel(endpoint) as channel:
            grpc.channel_ready_future(channel).result(_PATIENCE)
        yield Etcd(endpoint, found.program("etcdctl"))
    finally:
        process.terminate()
        process.wait(_PATIENCE)
