"""The HTTP port, asked by a real client."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from io import StringIO
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from xdsd.config import TcpAddress, UnixAddress
from xdsd.health import Check
from xdsd.http import http_app, serve_http
from xdsd.model.problem import ObjectRef, Problem, Reason
from xdsd.settings import LogFormat, LogLevel
from xdsd.telemetry import Metrics, library_logs, make_logger


class Daemon:
    """What the port is told."""

    def __init__(self) -> None:
        self.metrics = Metrics(CollectorRegistry(), "1.2.3")
        self.checks = [
            Check("store", ok=True),
            Check("registry machines:/vms", ok=False, detail="not listed yet"),
            Check("registry machines:/other", ok=False, detail="it is gone", stale=True),
        ]
        self.problems: list[Problem] = []
        self.log = StringIO()
        self.logger = make_logger(LogFormat.JSON, LogLevel.DEBUG, self.log)
        self.app = http_app(self.metrics.registry, lambda: self.checks, lambda: self.problems)


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.fixture
async def client(daemon: Daemon) -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        serve_http(daemon.app, TcpAddress("127.0.0.1", 0), daemon.logger) as address,
        aiohttp.ClientSession(f"http://{address}") as session,
    ):
        yield session


async def test_metrics_are_served_in_prometheus_text(daemon: Daemon, client: aiohttp.ClientSession) -> None:
    """The plain format by default, OpenMetrics where it is asked for."""
    daemon.metrics.store_up.set(1)
    async with client.get("/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        assert "xdsd_store_up 1.0" in await response.text()
    async with client.get(
        "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
    ) as response:
        assert response.headers["Content-Type"].startswith("application/openmetrics-text")
        assert (await response.text()).endswith("# EOF\n")


async def test_ready_only_when_every_part_is(daemon: Daemon, client: aiohttp.ClientSession) -> None:
    """503 with the missing part's reason, then 200, also while a part is away that was there; alive all the while."""
    async with client.get("/readyz") as response:
        assert response.status == 503
        assert await response.json() == {
            "ready": False,
            "checks": [
                {"name": "store", "ok": True, "state": "ok", "detail": ""},
                {
                    "name": "registry machines:/vms",
                    "ok": False,
                    "state": "missing",
                    "detail": "not listed yet",
                },
                {
                    "name": "registry machines:/other",
                    "ok": False,
                    "state": "stale",
                    "detail": "it is gone",
                },
            ],
        }
    async with client.get("/healthz") as response:
        assert response.status == 200
    daemon.checks = [Check("store", ok=True), Check("other", ok=False, detail="it is gone", stale=True)]
    async with client.get("/readyz") as response:
        assert response.status == 200


async def test_problems_are_listed_as_json(daemon: Daemon, client: aiohttp.ClientSession) -> None:
    """Each problem has all its fields under stable names."""
    daemon.problems = [
        Problem(
            Reason.OUT_OF_RANGE,
            "-5 is below 0",
            ObjectRef("VirtualService", "default", "reviews"),
            "spec.x",
            "a.yaml",
            3,
        )
    ]
    async with client.get("/debug/problems") as response:
        assert await response.json() == {
            "problems": [
                {
                    "reason": "OutOfRange",
                    "severity": "error",
                    "message": "-5 is below 0",
                    "object": {"kind": "VirtualService", "namespace": "default", "name": "reviews"},
                    "path": "spec.x",
                    "file": "a.yaml",
                    "line": 3,
                }
            ]
        }


@pytest.mark.parametrize("path", ["/ui", "/sd/prometheus", "/metrics/x"])
async def test_an_unknown_page_says_what_there_is(client: aiohttp.ClientSession, path: str) -> None:
    """A 404 names the pages that exist."""
    async with client.get(path) as response:
        assert response.status == 404
        assert f"There is no page {path}; there are /metrics" in await response.text()


async def test_the_index_lists_the_pages(client: aiohttp.ClientSession) -> None:
    """A person who opens the port finds the way."""
    async with client.get("/") as response:
        assert "/readyz\t" in await response.text()


async def test_nothing_can_be_posted(client: aiohttp.ClientSession) -> None:
    """The port only tells."""
    async with client.post("/metrics", data=b"x") as response:
        assert response.status == 405


async def test_it_serves_on_a_socket_in_the_file_system(daemon: Daemon, tmp_path: Path) -> None:
    """A socket left by a killed daemon does not keep the next one from serving."""
    path = tmp_path / "http.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    for _ in range(2):
        async with (
            serve_http(daemon.app, UnixAddress(path), daemon.logger),
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
            session.get("http://xdsd/healthz") as response,
        ):
            assert await response.text() == "ok\n"


async def test_a_taken_port_is_an_error(daemon: Daemon) -> None:
    """Two servers never share a port silently."""
    async with serve_http(daemon.app, TcpAddress("127.0.0.1", 0), daemon.logger) as address:
        other = Daemon()
        with pytest.raises(OSError, match="in use"):
            async with serve_http(other.app, address, other.logger):
                pass


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /metrics HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer hush-1\r\nhush 2\r\n\r\n",
        b"GET /metrics HTTP/9\r\nAuthorization: Bearer hush-1\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer hush-1\r\nContent-Length: hush-2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: " + b"hush" * 5000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer hush-1\x00\r\n\r\n",
    ],
    ids=["header", "version", "length", "long", "nul"],
)
async def test_what_a_malformed_request_holds_is_not_logged(daemon: Daemon, request_bytes: bytes) -> None:
    """It is told in one line for those who debug, without what it holds, which may be a secret."""
    with library_logs(daemon.logger):
        async with serve_http(daemon.app, TcpAddress("127.0.0.1", 0), daemon.logger) as address:
            assert isinstance(address, TcpAddress)
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(request_bytes)
            async with asyncio.timeout(60):
                assert b" 400 " in await reader.readline()
                await reader.read()
            writer.close()
            await writer.wait_closed()
    lines = [json.loads(line) for line in daemon.log.getvalue().splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [("a malformed HTTP request", "debug")]
    assert "hush" not in daemon.log.getvalue()
