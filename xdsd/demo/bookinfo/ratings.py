"""ratings: how many stars each reviewer gave."""

from xdsd.demo.bookinfo.service import Request, Response, Service


class Ratings(Service):
    """Answers ``/ratings/<id>``; there is one book."""

    def answer(self, request: Request) -> Response:
        if request.path != "/ratings/0":
            return Response.not_found()
        return Response.of({"id": 0, "ratings": {"Reviewer1": 5, "Reviewer2": 4}})
