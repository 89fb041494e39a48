"""One instance of one service, as a process."""

import argparse

from xdsd.demo.bookinfo.details import Details
from xdsd.demo.bookinfo.productpage import ProductPage
from xdsd.demo.bookinfo.ratings import Ratings
from xdsd.demo.bookinfo.reviews import Reviews
from xdsd.demo.bookinfo.service import Service, Upstream, serve

_SERVICES: dict[str, type[Service]] = {
    "productpage": ProductPage,
    "details": Details,
    "reviews": Reviews,
    "ratings": Ratings,
}


def main() -> None:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser(prog="python -m xdsd.demo.bookinfo")
    parser.add_argument("service", choices=_SERVICES)
    parser.add_argument("--version", default="v1")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--proxy", required=True, help="host:port of the HTTP proxy that all calls go through"
    )
    parser.add_argument(
        "--service-port", type=int, default=9080, help="the port of the other services' names"
    )
    given = parser.parse_args()
    service = _SERVICES[given.service](
        given.service, given.version, Upstream(given.proxy, given.service_port)
    )
    serve(service, given.address, given.port)


if __name__ == "__main__":
    main()
