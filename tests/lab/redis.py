"""A real Redis on loopback, in memory alone."""

import asyncio
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.lab.eventually import eventually
from tests.lab.missing import missing
from tests.lab.ports import free_ports
from xdsd.demo.program import Program


def redis_binary() -> str:
    """``redis-server`` in the folder XDSD_REDIS, else on the PATH; without one the test skips, and fails in CI."""
    found = shutil.which("redis-server", path=os.environ.get("XDSD_REDIS"))
    if found is None:
        missing("redis-server", "install it, or name a folder with it in XDSD_REDIS")
    return found


class RedisServer:
    """``async with RedisServer(tmp_path) as redis`` waits until it answers; it may be stopped and started again."""

    def __init__(self, folder: Path, password: str = "") -> None:
        (self.port,) = free_ports(1)
        self.url = f"redis://127.0.0.1:{self.port}"
        self.password = password
        binary = redis_binary()
        command = [
            binary,
            "--bind",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--save",
            "",
            "--dir",
            str(folder),
        ]
        command += ["--requirepass", password] if password else []
        self.program = Program("redis", command, folder / "redis.log", redis_environment(Path(binary)))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Starts it and waits."""
        await self.program.start()
        await eventually(self._answers, "Redis answers")

    async def stop(self) -> None:
        """Ends it, if it runs."""
        if self.program.running:
            await self.program.kill()

    async def _answers(self) -> bool:
        assert self.program.running, self.program.tail()
        async with Redis(port=self.port, password=self.password or None) as client:
            try:
                async with asyncio.timeout(10):
                    return bool(await client.ping())
            except RedisError:
                return False


def redis_environment(binary: Path) -> dict[str, str]:
    """Where the binary was unpacked rather than installed, its libraries are beside it."""
    libraries = [str(folder) for folder in binary.parents[1].glob("lib/*-linux-gnu")]
    return (
        {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)}
        if binary.parents[2] != Path("/")
        else {**os.environ}
    )
