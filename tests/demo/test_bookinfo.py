"""The four services: what they answer, whom they ask, and what they pass on."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from xdsd.demo.bookinfo.details import Details
from xdsd.demo.bookinfo.productpage import ProductPage
from xdsd.demo.bookinfo.ratings import Ratings
from xdsd.demo.bookinfo.reviews import Reviews
from xdsd.demo.bookinfo.service import PASSED_ON, Request, Response, Service, Upstream

TRACE = {name: f"value of {name}" for name in PASSED_ON}


class Others(Upstream):
    """The other services as this test wants them; keeps what was asked of them."""

    def __init__(self, services: Mapping[str, Service] | None = None) -> None:
        super().__init__("127.0.0.1:1", 9080)
        self.services = services or {}
        self.calls: list[tuple[str, Mapping[str, str], float]] = []

    def get(self, service: str, path: str, headers: Mapping[str, str], timeout: float) -> tuple[int, Any]:
        self.calls.append((service, headers, timeout))
        if service not in self.services:
            return 0, None
        response = self.services[service].answer(Request("GET", path, headers))
        return response.status, json.loads(response.body)


def bookinfo(version: str = "v2", *, without: str = "") -> tuple[ProductPage, Others, Others]:
    """A page whose reviews have this version; the callees of the page and of the reviews."""
    below = Others({"ratings": Ratings("ratings", "v1", Others())} if without != "ratings" else {})
    services: dict[str, Service] = {
        "details": Details("details", "v1", Others()),
        "reviews": Reviews("reviews", version, below),
    }
    services.pop(without, None)
    above = Others(services)
    return ProductPage("productpage", "v1", above), above, below


def page(service: Service, headers: Mapping[str, str] | None = None) -> str:
    response = service.answer(Request("GET", "/productpage", headers or {}))
    assert response.status == 200
    return response.body.decode()


@pytest.mark.parametrize(("version", "colour"), [("v1", None), ("v2", "black"), ("v3", "red")])
def test_the_page_shows_which_reviews_served_it(version: str, colour: str | None) -> None:
    """v1 has no stars, v2 black ones, v3 red ones, and the page names the instance."""
    text = page(bookinfo(version)[0])
    assert re.findall(r'class="stars" style="color: (\w+)"', text) == ([colour] * 2 if colour else [])
    assert f"<code>reviews-{version}</code>" in text
    assert "William Shakespeare" in text


def test_traces_and_user_reach_the_last_service() -> None:
    """B3, W3C, Envoy's request id and the signed-in user are passed on by the page and by reviews."""
    service, above, below = bookinfo()
    page(service, {**TRACE, "cookie": "bookinfo-user=jason", "accept": "text/html"})
    for _, headers, _ in (*above.calls, *below.calls):
        assert headers == {**TRACE, "end-user": "jason"}


def test_ratings_that_fail_leave_the_reviews() -> None:
    """Without ratings the reviews stand with a remark instead of stars."""
    text = page(bookinfo(without="ratings")[0])
    assert text.count("Ratings service is currently unavailable") == 2
    assert "reviews-v2" in text


def test_reviews_that_fail_are_asked_twice_and_missed() -> None:
    """The page gives reviews two tries of three seconds each, then says that there are none."""
    service, above, _ = bookinfo(without="reviews")
    assert "Sorry, product reviews are currently unavailable for this book." in page(service)
    assert [(name, timeout) for name, _, timeout in above.calls if name == "reviews"] == [
        ("reviews", 3.0)
    ] * 2


def test_reviews_v2_waits_longer_for_ratings_than_the_page_waits_for_it() -> None:
    """That is the fault which a delay of seven seconds brings to light; v3 does not have it."""
    for version, patience in (("v2", 10.0), ("v3", 2.5)):
        service, _, below = bookinfo(version)
        page(service)
        assert [timeout for _, _, timeout in below.calls] == [patience]


def post(service: Service, name: str) -> Response:
    return service.answer(Request("POST", "/login", {}, {"username": name, "passwd": "x"}))


def test_signing_in_and_out() -> None:
    """Signing in sets a cookie that the page greets by name; signing out takes it away."""
    service, _, _ = bookinfo()
    response = post(service, "jason")
    assert (response.status, response.headers["location"]) == (302, "/productpage")
    cookie = response.headers["set-cookie"].split(";")[0]
    assert "jason (" in page(service, {"cookie": cookie})
    gone = service.answer(Request("GET", "/logout", {"cookie": cookie}))
    assert (gone.status, "Max-Age=0" in gone.headers["set-cookie"]) == (302, True)


@pytest.mark.parametrize("name", ["", "a b", "x\r\nset-cookie: y", "<script>", "é", "a" * 65])
def test_names_that_no_header_can_carry_are_refused(name: str) -> None:
    """What would break a header, a cookie or the page is not taken as a name."""
    assert post(bookinfo()[0], name).status == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/static/style.css", 200),
        ("/static/../etc/passwd", 404),
        ("/api/v1/products", 200),
        ("/api/v1/products/0", 200),
        ("/api/v1/products/0/reviews", 200),
        ("/api/v1/products/0/ratings", 504),
        ("/api/v1/products/1", 404),
        ("/nothing", 404),
    ],
)
def test_the_other_paths(path: str, status: int) -> None:
    """The sample's paths answer; others do not. (Ratings are not there for the page in this test.)"""
    assert bookinfo()[0].answer(Request("GET", path, {})).status == status


def test_there_is_one_book() -> None:
    """Other books are not found, wherever one asks."""
    for service in (
        Details("details", "v1", Others()),
        Ratings("ratings", "v1", Others()),
        Reviews("reviews", "v1", Others()),
    ):
        assert service.answer(Request("GET", f"/{service.name}/1", {})).status == 404
