"""The daemon's HTTP port: metrics for Prometheus, health for whoever runs the daemon, and what is wrong now.

``/healthz`` answers while the event loop turns. ``/readyz`` answers 503, with a reason for each part that is
missing, until the daemon can serve proxies as it should. What is away after that is
told there too, and the daemon stays ready: what it knew is served.
"""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from structlog.typing import FilteringBoundLogger

from xdsd.config import Address, TcpAddress, UnixAddress
from xdsd.health import Check, ready
from xdsd.model.problem import Problem
from xdsd.sockets import refuse_taken

PAGES = {
    "/metrics": "metrics in Prometheus's format",
    "/healthz": "200 while the daemon lives",
    "/readyz": "200 once the daemon is ready, else 503 and what is missing",
    "/debug/problems": "what is wrong now, as JSON",
}


def http_app(
    registry: CollectorRegistry,
    checks: Callable[[], Sequence[Check]],
    problems: Callable[[], Sequence[Problem]],
) -> web.Application:
    """The application; ``checks`` and ``problems`` are asked anew for each request."""

    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        found = checks()
        body = {"ready": ready(found), "checks": [_check_json(check) for check in found]}
        return web.json_response(body, status=200 if body["ready"] else 503)

    async def debug_problems(_: web.Request) -> web.Response:
        return web.json_response({"problems": [problem_json(problem) for problem in problems()]})

    async def index(_: web.Request) -> web.Response:
        return web.Response(text="".join(f"{path}\t{text}\n" for path, text in PAGES.items()))

    async def missing(request: web.Request) -> web.Response:
        known = ", ".join(PAGES)
        return web.Response(status=404, text=f"There is no page {request.path}; there are {known}.\n")

    app = web.Application()
    app.router.add_get("/", index)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/debug/problems", debug_problems)
    app.router.add_get("/{rest:.*}", missing)
    return app


def _check_json(check: Check) -> dict[str, object]:
    return {"name": check.name, "ok": check.ok, "state": check.state.value, "detail": check.detail}


def problem_json(problem: Problem) -> dict[str, object]:
    """A problem as JSON; the names are stable."""
    return {
        "reason": problem.reason.value,
        "severity": problem.severity.value,
        "message": problem.message,
        "object": problem.object._asdict() if problem.object else None,
        "path": problem.path,
        "file": problem.file,
        "line": problem.line,
    }


def _server_log(logger: FilteringBoundLogger) -> logging.Logger:
    """What aiohttp logs to. A request that cannot be read is its client's affair, and what it holds may be a secret."""

    def ours(record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError | web.RequestPayloadError):
            return True
        logger.debug("a malformed HTTP request", problem=type(error).__name__)
        return False

    log = logging.Logger("aiohttp.server")
    log.parent = logging.getLogger()
    log.addFilter(ours)
    return log


@asynccontextmanager
async def serve_http(
    app: web.Application, address: Address, logger: FilteringBoundLogger
) -> AsyncIterator[Address]:
    """Serves while it lasts at the address it gives (port 0 resolved). Raises OSError where it cannot."""
    refuse_taken(address, "http-address")
    runner = web.AppRunner(app, access_log=None, logger=_server_log(logger), shutdown_timeout=1.0)
    await runner.setup()
    try:
        if isinstance(address, UnixAddress):
            address.path.unlink(missing_ok=True)
            await web.UnixSite(runner, str(address.path)).start()
            yield address
        else:
            await web.TCPSite(runner, address.host, address.port).start()
            host, port = runner.addresses[0][:2]
            yield TcpAddress(host, port)
    finally:
        await runner.cleanup()
