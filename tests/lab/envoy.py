"""A real Envoy: where the binary is, whether it takes a config, and a running one with its admin pages."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from tests.lab.admin import Admin
from tests.lab.missing import missing
from xdsd.demo.envoy import VERSION, EnvoyUnavailableError, find_envoy
from xdsd.demo.program import Program

Bootstrap = Mapping[str, Any]  # JSON: whatever Envoy's Bootstrap message holds
_READY_SECONDS = 180.0


def envoy_binary() -> Path:
    """The Envoy that tests run: ``XDSD_ENVOY`` or the cache. Without one the test skips, and fails in CI."""
    try:
        found = find_envoy()
    except EnvoyUnavailableError as error:
        missing("Envoy", str(error))
    if found is None:
        missing(f"Envoy {VERSION}", "run `python -m xdsd.demo.envoy` to fetch it, or set XDSD_ENVOY")
    return found


async def validate(config: Bootstrap, folder: Path) -> str:
    """What ``envoy --mode validate`` has against a bootstrap; empty if it takes it."""
    file = folder / "validate.json"
    file.write_text(json.dumps(config))
    program = Program(
        "envoy",
        [envoy_binary(), "--mode", "validate", "-c", file, "--log-level", "error", "--concurrency", "1"],
        folder / "validate.log",
    )
    program.log.unlink(missing_ok=True)
    await program.start()
    return "" if await program.wait(60) == 0 else program.tail()


class Envoy(Admin):
    """A running proxy. ``async with Envoy(bootstrap, tmp_path) as envoy`` waits until it is live.

    The bootstrap's ``admin`` is replaced by a free port of loopback. With ``ready`` Envoy must have finished
    initialising (its first listeners and clusters are in); without, only the admin interface must answer. ``drain`` is its
    drain time in seconds: in less than two it may cut connections rather than close them between two requests.
    """

    def __init__(
        self,
        bootstrap: Bootstrap,
        folder: Path,
        *,
        name: str = "envoy",
        ready: bool = True,
        log_level: str = "info",
        drain: int = 2,
    ) -> None:
        super().__init__("")
        self.name = name
        self._wait_ready = ready
        self._address_file = folder / f"{name}.admin"
        self._config_file = folder / f"{name}.json"
        self._bootstrap = bootstrap
        command: list[str | Path] = [envoy_binary(), "-c", self._config_file, "--concurrency", "1"]
        command += ["--admin-address-path", self._address_file, "--disable-hot-restart"]
        command += ["--log-level", log_level, "--drain-time-s", str(drain)]
        self.program = Program(name, command, folder / f"{name}.log")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        if error is not None:
            error.add_note(f"--- {self.name}: {self.program.log}\n{self.program.tail()}")

    async def start(self) -> None:
        """Starts it and waits, at most three minutes.

        Raises:
            AssertionError: it ended or is not ready in time; carries the end of its log.
        """
        admin = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}}
        self._config_file.write_text(json.dumps({**self._bootstrap, "admin": admin}))
        self._address_file.unlink(missing_ok=True)
        await self.program.start()
        try:
            async with asyncio.timeout(_READY_SECONDS):
                while not await self._is_up():
                    assert self.program.running, f"{self.name} ended at once:\n{self.program.tail()}"
                    await asyncio.sleep(0.02)
        except TimeoutError:
            tail = self.program.tail()
            await self.stop()
            raise AssertionError(f"{self.name} is not ready after {_READY_SECONDS} s:\n{tail}") from None
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Ends it; may be called again."""
        if self.program.running:
            await self.program.stop()

    async def _is_up(self) -> bool:
        if not self._address_file.exists() or not (address := self._address_file.read_text().strip()):
            return False
        self.admin = address
        try:
            await self.get("/ready")
        except AssertionError:
            return not self._wait_ready
        except (aiohttp.ClientError, TimeoutError):
            return False
        return True
