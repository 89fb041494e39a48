"""The Bookinfo demo as users start it: ``xdsd demo`` as a process, on ports and addresses of its own."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab.admin import Admin
from tests.lab.daemon import plain_environment, xdsctl
from tests.lab.envoy import envoy_binary
from tests.lab.eventually import eventually
from tests.lab.ports import free_ports, free_row
from tests.lab.remains import forget, watch
from xdsd.demo.layout import DemoOptions, LayoutError, check_ports, lay_out

_START_SECONDS = 180.0
_INSTANCES = len(lay_out(DemoOptions()).instances)
_RUNNING = "Ctrl-C stops everything."


class Bookinfo:
    """A running demo. ``with Bookinfo(tmp_path) as mesh`` returns once the page is served.

    It is no coroutine, so that many tests, each with a loop of its own, may share one mesh. Its state is under
    ``folder``, or with ``temporary`` in a temporary folder there, as without ``--state-dir``.
    """

    def __init__(self, folder: Path, *, flags: tuple[str, ...] = (), temporary: Path | None = None) -> None:
        self.layout = lay_out(_free_options(folder / "state"))
        self.url = self.layout.gateway_url
        self.log = folder / "demo.log"
        self.endpoint = f"unix:{folder / 'state' / 'admin.sock'}"
        self.exercises = folder / "state" / "try"
        self._flags = flags
        self._temporary = temporary
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        watch(self)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        forget(self)
        state = self.state
        self.stop()
        if error is not None:
            error.add_note(f"--- {state}\n{self.tail()}")

    def start(self) -> None:
        """Starts it and waits for its last words of welcome.

        Raises:
            AssertionError: it ended or did not get there in time; carries what it printed.
        """
        options = self.layout.options
        command = [sys.executable, "-m", "xdsd", "demo", *self._flags]
        command += ["--state-dir", options.state_dir] if self._temporary is None else []
        command += ["--port", str(options.port), "--network", options.network]
        command += ["--xds-port", str(options.xds_port), "--http-port", str(options.http_port)]
        command += ["--app-port", str(options.app_port)]
        environment = {**plain_environment(), "XDSD_ENVOY": str(envoy_binary())}
        if self._temporary is not None:
            environment["TMPDIR"] = str(self._temporary)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        deadline = time.monotonic() + _START_SECONDS
        while _RUNNING not in self.said():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"the demo does not run:\n{self.said()}")
            time.sleep(0.05)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends it as a user would; the exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        try:
            return self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def said(self) -> str:
        """What it printed."""
        return self.log.read_text(errors="replace")

    @property
    def state(self) -> str:
        """Whether it runs, or what it ended with; with the place of its log."""
        code = None if self._process is None else self._process.poll()
        return f"the demo {'runs' if code is None else f'ended with {code}'}: {self.log}"

    def tail(self) -> str:
        """The end of what it printed, and of its daemon's log."""
        logs = (self.log, Path(self.layout.options.state_dir) / "logs" / "xdsd.log")
        lines = [each.read_text(errors="replace").splitlines()[-20:] for each in logs if each.exists()]
        return "\n".join(line for each in lines for line in each)

    def children(self) -> dict[int, str]:
        """Process id to command line of everything that it started and that runs now."""
        assert self._process is not None
        tasks = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return dict(_command_lines(tasks.read_text().split())) if tasks.exists() else {}

    def daemon(self) -> int:
        """The daemon's process id."""
        found = [pid for pid, command in self.children().items() if " serve " in command]
        assert len(found) == 1, f"one daemon expected: {self.children()}"
        return found[0]

    async def end_daemon(self, number: signal.Signals) -> None:
        """Ends the daemon with a signal and waits until the demo has started another that has every Envoy."""
        old = self.daemon()
        os.kill(old, number)
        await eventually(lambda: self.daemon() != old, "another daemon runs")
        await eventually(self.proxies_are_connected, "every Envoy is back")

    async def proxies_are_connected(self) -> bool:
        """Whether every Envoy has a stream to the daemon now."""
        states = await asyncio.gather(*(each.stat("control_plane.connected_state") for each in self.envoys()))
        return all(states)

    def envoys(self) -> tuple[Admin, ...]:
        """The admin pages of every Envoy, the gateway's last."""
        port = self.layout.options.envoy_port
        addresses = [*(each.address for each in self.layout.instances), self.layout.gateway_address]
        return tuple(Admin(f"{address}:{port}") for address in addresses)

    def proxy_of(self, name: str) -> str:
        """The HTTP proxy through which an instance calls the others."""
        instance = next(each for each in self.layout.instances if each.name == name)
        return f"http://{instance.address}:{self.layout.options.proxy_port}"

    async def xdsctl(self, *words: str | Path, text: str = "") -> str:
        """What ``xdsctl`` printed, which must have succeeded."""
        code, output = await xdsctl(self.endpoint, *words, text=text)
        assert code == 0, f"xdsctl {' '.join(map(str, words))} ended with {code}:\n{output}"
        return output

    async def apply(self, *names: str) -> None:
        """Applies exercises, one after the other."""
        for name in names:
            await self.xdsctl("apply", "-f", self.exercises / name)


def _free_options(state_dir: Path) -> DemoOptions:
    """Ports and a loopback network that nobody uses now."""
    for options in _candidates(state_dir):
        try:
            check_ports(lay_out(options))
        except LayoutError:
            continue
        return options
    raise AssertionError("no free ports for a demo on this machine")


def _candidates(state_dir: Path) -> Iterator[DemoOptions]:
    for _ in range(20):
        port, xds, http = free_ports(3)
        below = port - 20000
        yield DemoOptions(
            port=port,
            xds_port=xds,
            http_port=http,
            app_port=free_row(_INSTANCES)[0],
            # One of its own, as the port is; beyond those that tests name.
            network=f"127.{16 + below // 250}.{1 + below % 250}",
            state_dir=str(state_dir),
        )


def running(pid: int) -> str:
    """The command line of a process; empty if it ended."""
    try:
        text = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return text.replace(b"\0", b" ").decode(errors="replace")


def _command_lines(pids: list[str]) -> Iterator[tuple[int, str]]:
    for pid in pids:
        if command := running(int(pid)):
            yield int(pid), command


@contextmanager
def running_bookinfo(folder: Path) -> Iterator[Bookinfo]:
    """A demo for many tests; whatever ran is gone afterwards, or this fails."""
    with Bookinfo(folder) as mesh:
        yield mesh
        pids = mesh.children()
    left = {pid: command for pid, command in pids.items() if running(pid) == command}
    assert not left, f"the demo left running: {left}"
