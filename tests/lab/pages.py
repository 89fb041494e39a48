"""Runs the commands of a documentation page, as a reader would type them.

A fenced block ``console`` holds commands after ``$ `` and, below a command, lines that its output must have. A block
``yaml file=NAME`` is written to that file, and one ``console on=PLACE`` is for another machine. A command that ends in ``&``
goes on until the page ends, or until ``kill %N`` ends the N-th of them; ``export`` holds for the commands that follow.
Well-known ports are replaced by free ones, so that a page runs beside anything else.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.lab.daemon import plain_environment
from tests.lab.envoy import envoy_binary
from tests.lab.etcd import releases
from tests.lab.ports import free_ports
from tests.lab.redis import redis_environment
from xdsd.demo import tied

_BLOCK = re.compile(r"^```(\w+)(?: (file|on)=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND_SECONDS = 300
_PATIENCE = (
    (re.compile(r"\btimeout (20|30) sh\b"), "timeout 200 sh"),
    (re.compile(r"\btimeout 5 envoy\b"), "timeout 15 envoy"),
    (re.compile(r"--timeout 20s\b"), "--timeout 200s"),
    (re.compile(r"--wait 60s\b"), "--wait 200s"),
    (re.compile(r"^(xdsctl wait --for=synced[^&|;]*)$"), r"until \1; do sleep 0.2; done"),
    (re.compile(r"\bkubectl wait\b"), "kubectl wait --timeout 200s"),
    (re.compile(r"--retry (5|10|20)\b"), "--retry 100"),
)
"""What a page has its reader wait for, and how long we do, beside other tests."""
_SHELL = ("bash", "-o", "pipefail", "-ec")


@dataclass(frozen=True, slots=True)
class File:
    """A file that the reader is told to write."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command that the reader is told to type, and lines that its output must have; ``place`` is where, if not here."""

    text: str
    output: tuple[str, ...]
    place: str = ""


def steps(page: str) -> Iterator[File | Command]:
    """What a page tells its reader to do, in order."""
    for language, what, name, body in _BLOCK.findall(page):
        if what == "file":
            yield File(name, body)
        elif language == "console":
            first, *commands = re.split(r"^\$ ", body, flags=re.MULTILINE)
            assert not first.strip(), f"output before a command: {first}"
            for command in commands:
                text, *output = command.rstrip("\n").split("\n")
                yield Command(text, tuple(output), name)


class Reader:
    """Someone who does what pages say, in ``folder``; whatever they started is ended with the block. ``places`` are the
    words by which a shell of another machine runs a script.
    """

    def __init__(
        self,
        folder: Path,
        ports: Mapping[str, str],
        environment: Mapping[str, str] | None = None,
        places: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._places = {} if places is None else places
        self._folder = folder
        self._ports = ports
        self._programs = folder / ".bin"
        self._environment = {**plain_environment(), **(environment or {})}
        self._background: list[tuple[str, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Self:
        self._programs.mkdir(parents=True)
        module = {"xdsd": "from xdsd.__main__ import main", "xdsctl": "from api.cli import main"}
        for name, load in module.items():
            file = self._programs / name
            file.write_text(f"#!{sys.executable}\n{load}\nmain(prog_name={name!r})\n")
            file.chmod(0o755)
        (self._programs / "envoy").symlink_to(envoy_binary())
        (self._programs / "python3").symlink_to(sys.executable)
        for version in releases()[:1]:
            for name in ("etcd", "etcdctl"):
                (self._programs / name).symlink_to(version.program(name))
        consul = shutil.which("consul", path=os.environ.get("XDSD_CONSUL"))
        if consul is not None:
            (self._programs / "consul").symlink_to(consul)
        self._add_redis()
        root = Path(__file__).parents[2]
        path = f"{self._programs}:{os.environ['PATH']}"
        self._environment |= {"XDG_CONFIG_HOME": str(self._folder / ".config")}  # the reader's own, not ours
        self._environment |= {"PATH": path, "PYTHONPATH": str(root), "PYTHONWARNINGS": "default"}
        self._environment |= {"ETCDCTL_DIAL_TIMEOUT": "60s", "ETCDCTL_COMMAND_TIMEOUT": "60s"}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, process in reversed(self._background):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        if error is not None:
            for text, process in self._background:
                error.add_note(
                    f"--- {text} (ended with {process.returncode})\n{self._log(text).read_text()[-2000:]}"
                )

    def _add_redis(self) -> None:
        """Where Redis was unpacked rather than installed, its libraries are beside it."""
        found = shutil.which("redis-server", path=os.environ.get("XDSD_REDIS"))
        if found is not None:
            libraries = redis_environment(Path(found)).get("LD_LIBRARY_PATH", "")
            file = self._programs / "redis-server"
            file.write_text(f'#!/bin/sh\nexport LD_LIBRARY_PATH={libraries}\nexec {found} "$@"\n')
            file.chmod(0o755)

    def do(self, page: str) -> int:
        """Does all that a page says; how many commands that were."""
        count = 0
        for step in steps(page):
            if isinstance(step, File):
                file = self._folder / step.name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(self._moved(step.text))
            else:
                count += 1
                self._type(step)
        return count

    def _type(self, command: Command) -> None:
        text = self._moved(command.text)
        for said, meant in _PATIENCE:
            text = said.sub(meant, text)
        if command.place:
            self._run(text, command.output, self._places[command.place])
        elif text.startswith("export "):
            name, _, value = text.removeprefix("export ").partition("=")
            self._environment[name] = value
        elif text.startswith("kill %"):
            self._end(int(text.removeprefix("kill %")))
        elif text.endswith(" &"):
            self._start(text.removesuffix(" &"))
        else:
            self._run(text, command.output)

    def _run(self, text: str, output: tuple[str, ...], shell: Sequence[str] = _SHELL) -> None:
        done = subprocess.run(
            [*shell, text],
            check=False,
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_COMMAND_SECONDS,
        )
        assert done.returncode == 0, f"$ {text}\nended with {done.returncode}:\n{done.stdout}"
        lines = [line.rstrip() for line in done.stdout.splitlines()]
        for line in output:
            assert self._moved(line).rstrip() in lines, (
                f"$ {text}\ndid not print {line!r} but:\n{done.stdout}"
            )

    def _start(self, text: str) -> None:
        with self._log(text).open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", tied.__file__, str(os.getpid()), "bash", "-ec", f"exec {text}"],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._background.append((text, process))
        if text.startswith("xdsd serve") and "--admin-address" not in text:
            found = re.search(r"--state-dir (\S+)", text)
            self._wait_for_daemon(process, found[1] if found else "state")

    def _end(self, job: int) -> None:
        """Ends what was started so many-th, and waits, as a reader does before typing on."""
        process = self._background[job - 1][1]
        process.send_signal(signal.SIGTERM)
        process.wait(60)

    def _wait_for_daemon(self, process: subprocess.Popen[bytes], state: str) -> None:
        # A reader types slower than a daemon starts.
        deadline = time.monotonic() + 60
        socket = self._folder / state / "admin.sock"
        while not socket.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail("the daemon does not start")
            time.sleep(0.05)

    def _moved(self, text: str) -> str:
        """The text with every well-known port replaced."""
        return re.sub(r"\b\d{4,5}\b", lambda found: self._ports.get(found[0], found[0]), text)

    def _log(self, text: str) -> Path:
        return self._folder / f".{shlex.split(text)[0]}-{abs(hash(text)) % 10**8}.log"


def moved_ports(*ports: str) -> dict[str, str]:
    """Each of the ports and a free one."""
    return dict(zip(ports, map(str, free_ports(len(ports))), strict=True))
