"""What the four services have in common: answering HTTP, and calling one another through their Envoys."""

import http.client
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

# What tells that a call belongs to a request seen earlier: B3, W3C trace context, Envoy's id, and our own
# user.
PASSED_ON = (
    "x-request-id",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "traceparent",
    "tracestate",
    "end-user",
)


@dataclass(frozen=True, slots=True)
class Request:
    """A request as a service sees it; header names in lower case, ``form`` from a posted form."""

    method: str
    path: str
    headers: Mapping[str, str]
    form: Mapping[str, str] = field(default_factory=dict)

    def passed_on(self) -> dict[str, str]:
        """The headers that every call made on behalf of this request carries."""
        return {name: self.headers[name] for name in PASSED_ON if name in self.headers}


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; JSON unless ``content_type`` says otherwise."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: object, status: int = 200) -> "Response":
        return cls(status, json.dumps(value).encode())

    @classmethod
    def not_found(cls) -> "Response":
        return cls.of({"error": "not found"}, 404)


class Upstream:
    """The other services, seen through an HTTP proxy at ``proxy`` (``host:port``)."""

    def __init__(self, proxy: str, port: int) -> None:
        self._proxy = proxy
        self._port = port

    def get(self, service: str, path: str, headers: Mapping[str, str], timeout: float) -> tuple[int, Any]:
        """GETs JSON: the status (0 if nobody answered within ``timeout`` seconds) and the value."""
        connection = http.client.HTTPConnection(self._proxy, timeout=timeout)
        try:
            connection.request("GET", f"http://{service}:{self._port}{path}", headers=dict(headers))
            response = connection.getresponse()
            text = response.read()
            return response.status, json.loads(text) if response.status == 200 else None
        except (OSError, http.client.HTTPException, ValueError):
            return 0, None
        finally:
            connection.close()


class Service(ABC):
    """One instance of a service."""

    def __init__(self, name: str, version: str, upstream: Upstream) -> None:
        self.name = name
        self.version = version
        self.upstream = upstream

    @property
    def instance(self) -> str:
        """Who answered, as pages and tests tell instances apart: ``reviews-v2``."""
        return f"{self.name}-{self.version}"

    @abstractmethod
    def answer(self, request: Request) -> Response:
        """The answer to anything but ``/health``; called from many threads at once."""


def serve(service: Service, address: str, port: int) -> None:
    """Serves until the process ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def _handle(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length).decode(errors="replace")
            headers = {name.lower(): value for name, value in self.headers.items()}
            form = {name: values[0] for name, values in parse_qs(body).items()}
            request = Request(self.command, urlsplit(self.path).path, headers, form)
            known = request.path == "/health"
            self._send(Response.of({"status": "up"}) if known else service.answer(request))

        do_GET = do_POST = do_HEAD = _handle  # noqa: N815 - the names that http.server looks for

        def _send(self, response: Response) -> None:
            self.send_response(response.status)
            self.send_header("content-type", response.content_type)
            self.send_header("content-length", str(len(response.body)))
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(response.body)
            self.wfile.flush()

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

    with Server((address, port), Handler) as server:
        server.serve_forever()
