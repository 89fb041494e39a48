"""Bookinfo's programs as they are on machines whose traffic the kernel redirects: they call each other by name, and know
no proxy. ``python -m tests.lab.bookshop SERVICE --version V --port P`` runs one.

Ratings are kept in a database (``ratingsdb``), which greets whoever connects before it is asked, as databases do. Each
program prints a line for each pair of identities that its sidecar says a request came from and was for.
"""

import argparse
import http.client
import json
import socket
import socketserver
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from xdsd.demo.bookinfo.details import Details
from xdsd.demo.bookinfo.productpage import ProductPage
from xdsd.demo.bookinfo.ratings import Ratings
from xdsd.demo.bookinfo.reviews import Reviews
from xdsd.demo.bookinfo.service import Request, Response, Service, Upstream, serve

DATABASE = "ratingsdb"
DATABASE_PORT = 3306
GREETING, QUESTION = b"ratingsdb\n", b"ratings\n"
RATINGS = {"Reviewer1": 5, "Reviewer2": 4}
_PATIENCE = 30.0
_SERVICES: Mapping[str, type[Service]] = {
    "productpage": ProductPage,
    "details": Details,
    "reviews": Reviews,
    "ratings": Ratings,
}


class ByName(Upstream):
    """The other services where their names lead. However busy the machine is, they are waited for."""

    def __init__(self, port: int) -> None:
        super().__init__("", port)
        self._by_name = port

    def get(self, service: str, path: str, headers: Mapping[str, str], timeout: float) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(service, self._by_name, timeout=_PATIENCE)
        try:
            connection.request("GET", path, headers=dict(headers))
            response = connection.getresponse()
            text = response.read()
            return response.status, json.loads(text) if response.status == 200 else None
        except (OSError, http.client.HTTPException, ValueError) as error:
            print(f"{service}{path}: {error!r}", flush=True)
            return 0, None
        finally:
            connection.close()


class Shown(Service):
    """A service that tells who it is in each answer (``served-by``), and in its log who called it."""

    def __init__(self, inner: Service) -> None:
        super().__init__(inner.name, inner.version, inner.upstream)
        self._inner = inner
        self._heard: set[str] = set()

    def answer(self, request: Request) -> Response:
        peer = request.headers.get("x-forwarded-client-cert", "nobody")
        if peer not in self._heard:
            self._heard.add(peer)
            print(f"heard {peer}", flush=True)
        given = self._inner.answer(request)
        return replace(given, headers={**given.headers, "served-by": self.instance})


class KeptRatings(Ratings):
    """Ratings as the database has them; the answer says who asked it."""

    def answer(self, request: Request) -> Response:
        if request.path != "/ratings/0":
            return Response.not_found()
        try:
            with socket.create_connection((DATABASE, DATABASE_PORT), _PATIENCE) as connection:
                said = connection.makefile()
                greeting = said.readline()
                connection.sendall(QUESTION)
                kept = json.loads(said.readline()) if greeting else None
        except (OSError, ValueError) as error:
            print(f"{DATABASE}: {error!r}", flush=True)
            return Response.of({"error": "the database does not answer"}, 503)
        if kept is None:
            return Response.of({"error": "the database does not let us in"}, 503)
        return Response.of({"id": 0, "ratings": kept, "podname": self.instance})


class _Database(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(GREETING)
        if self.rfile.readline() == QUESTION:
            self.wfile.write(json.dumps(RATINGS).encode() + b"\n")


class _DatabaseServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256


def main() -> None:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.bookshop")
    parser.add_argument("service", choices=(*_SERVICES, DATABASE))
    parser.add_argument("--version", default="v1")
    parser.add_argument("--port", type=int, default=9080)
    given = parser.parse_args()
    if given.service == DATABASE:
        with _DatabaseServer(("0.0.0.0", given.port), _Database) as server:
            server.serve_forever()
    made = KeptRatings if given.service == "ratings" else _SERVICES[given.service]
    serve(Shown(made(given.service, given.version, ByName(given.port))), "0.0.0.0", given.port)


if __name__ == "__main__":
    main()
