"""reviews: what readers say. v1 shows no stars, v2 black ones, v3 red ones."""

from collections.abc import Mapping
from typing import Any

from xdsd.demo.bookinfo.service import Request, Response, Service

_COLOURS = {"v2": "black", "v3": "red"}
# v2 waits longer than productpage waits for reviews: that is the fault which the delay exercise brings to
# light.
_PATIENCE = {"v2": 10.0, "v3": 2.5}
_TEXTS = {
    "Reviewer1": "Short enough for one evening, and I laughed through most of it.",
    "Reviewer2": "Three couples, two plots, one night: still easier to follow than some meshes.",
}


class Reviews(Service):
    """Answers ``/reviews/<id>``, with the stars of ratings if this version shows any."""

    def answer(self, request: Request) -> Response:
        if request.path != "/reviews/0":
            return Response.not_found()
        reviews: list[dict[str, Any]] = [{"reviewer": name, "text": text} for name, text in _TEXTS.items()]
        if self.version in _COLOURS:
            stars = self._stars(request)
            for review in reviews:
                review["rating"] = self._rating(stars, review["reviewer"])
        return Response.of({"id": 0, "podname": self.instance, "reviews": reviews})

    def _stars(self, request: Request) -> Mapping[str, int] | None:
        status, value = self.upstream.get(
            "ratings", "/ratings/0", request.passed_on(), _PATIENCE[self.version]
        )
        return value["ratings"] if status == 200 else None

    def _rating(self, stars: Mapping[str, int] | None, reviewer: str) -> dict[str, Any]:
        if stars is None or reviewer not in stars:
            return {"error": "Ratings service is currently unavailable"}
        return {"stars": stars[reviewer], "color": _COLOURS[self.version]}
