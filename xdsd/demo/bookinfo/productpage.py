"""productpage: the page that a browser shows, made of what details and reviews say."""

import html
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

from xdsd.demo.bookinfo.service import Request, Response, Service

_PRODUCT = {"id": 0, "title": "The Comedy of Errors", "descriptionHtml": "Twins, twice, in Ephesus."}
_PATIENCE = 3.0
_COOKIE = "bookinfo-user"

_STYLE = b"""\
body { font-family: system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; color: #222 }
header { display: flex; justify-content: space-between; align-items: center; border-bottom: 1px solid #ccc }
main { display: grid; grid-template-columns: 1fr 1fr; gap: 2rem }
blockquote { margin: 0 0 1rem }
footer { color: #777; margin: .5rem 0 }
.error { color: #b00 }
.stars { font-size: 1.4rem }
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title><link rel="stylesheet" href="/static/style.css"></head>
<body>
<header><strong>Bookinfo</strong>{session}</header>
<h1>{title}</h1><p>{description}</p>
<main><section id="details"><h2>Book details</h2>{details}</section>
<section id="reviews"><h2>Book reviews</h2>{reviews}</section></main>
</body></html>
"""

_SIGN_IN = (
    '<form method="post" action="/login"><input name="username" placeholder="user name" required> '
    '<input name="passwd" type="password" placeholder="any password"> <button>Sign in</button></form>'
)
_INDEX = b'<!DOCTYPE html><title>Bookinfo</title><p><a href="/productpage">The product page</a></p>'


class ProductPage(Service):
    """The page, signing in and out, and the same data as JSON under ``/api/v1/products``."""

    def answer(self, request: Request) -> Response:
        if request.path in _FIXED:
            return _FIXED[request.path]
        match request.path.strip("/").split("/"):
            case ["productpage"]:
                return self._page(request)
            case ["login"]:
                return _login(request)
            case ["api", "v1", "products", "0"]:
                return self._relay(request, "details")
            case ["api", "v1", "products", "0", ("reviews" | "ratings") as service]:
                return self._relay(request, service)
        return Response.not_found()

    def _call(self, request: Request, service: str) -> tuple[int, Any]:
        """Asks another service on the user's behalf; reviews twice, as the delay exercise brings to light."""
        headers = request.passed_on()
        if user := _user(request):
            headers["end-user"] = user
        status, value = 0, None
        for _ in range(2 if service == "reviews" else 1):
            status, value = self.upstream.get(service, f"/{service}/0", headers, _PATIENCE)
            if status == 200:
                break
        return status, value

    def _relay(self, request: Request, service: str) -> Response:
        status, value = self._call(request, service)
        if status == 200:
            return Response.of(value)
        return Response.of(
            {"error": f"Sorry, product {service} are currently unavailable for this book."}, status or 504
        )

    def _page(self, request: Request) -> Response:
        user = _user(request)
        session = f'<span>{html.escape(user)} (<a href="/logout">sign out</a>)</span>' if user else _SIGN_IN
        page = _PAGE.format(
            title=_PRODUCT["title"],
            description=_PRODUCT["descriptionHtml"],
            session=session,
            details=_details(*self._call(request, "details")),
            reviews=_reviews(*self._call(request, "reviews")),
        )
        return Response(200, page.encode(), "text/html; charset=utf-8")


def _user(request: Request) -> str:
    try:
        morsel = SimpleCookie(request.headers.get("cookie", "")).get(_COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel is not None else ""


def _login(request: Request) -> Response:
    user = request.form.get("username", "")
    # The name becomes a header of every call, so it is kept to what a header and a cookie both carry as they
    # are.
    if not user.isascii() or not user.isalnum() or len(user) > 64:
        return Response.of({"error": "a user name is 1 to 64 letters and digits"}, 400)
    return _back({"set-cookie": f"{_COOKIE}={user}; Path=/; HttpOnly; SameSite=Lax"})


def _back(headers: Mapping[str, str]) -> Response:
    return Response(302, content_type="text/plain", headers={"location": "/productpage", **headers})


def _unavailable(what: str) -> str:
    return f'<p class="error">Sorry, product {what} are currently unavailable for this book.</p>'


def _details(status: int, value: Any) -> str:  # Any: JSON
    if status != 200:
        return _unavailable("details")
    rows = "".join(f"<dt>{html.escape(str(k))}</dt><dd>{html.escape(str(v))}</dd>" for k, v in value.items())
    return f"<dl>{rows}</dl>"


def _reviews(status: int, value: Any) -> str:  # Any: JSON
    if status != 200:
        return _unavailable("reviews")
    quotes = "".join(
        f"<blockquote><p>{html.escape(each['text'])}</p><small>{html.escape(each['reviewer'])}</small>"
        f"{_rating(each.get('rating'))}</blockquote>"
        for each in value["reviews"]
    )
    return f"{quotes}<footer>Reviews served by: <code>{html.escape(value['podname'])}</code></footer>"


def _rating(rating: Mapping[str, Any] | None) -> str:
    if rating is None:
        return ""
    if "error" in rating:
        return f'<p class="error">{html.escape(rating["error"])}</p>'
    stars = "\N{BLACK STAR}" * rating["stars"] + "\N{WHITE STAR}" * (5 - rating["stars"])
    return f'<div class="stars" style="color: {html.escape(rating["color"])}">{stars}</div>'


_FIXED: Mapping[str, Response] = {
    "/": Response(200, _INDEX, "text/html; charset=utf-8"),
    "/static/style.css": Response(200, _STYLE, "text/css"),
    "/logout": _back({"set-cookie": f"{_COOKIE}=; Path=/; Max-Age=0"}),
    "/api/v1/products": Response.of([_PRODUCT]),
}
