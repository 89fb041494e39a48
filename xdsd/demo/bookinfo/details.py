"""details: what the book is."""

from xdsd.demo.bookinfo.service import Request, Response, Service

_BOOK = {
    "id": 0,
    "author": "William Shakespeare",
    "year": 1595,
    "type": "paperback",
    "pages": 200,
    "publisher": "PublisherA",
    "language": "English",
    "ISBN-10": "1234567890",
    "ISBN-13": "123-1234567890",
}


class Details(Service):
    """Answers ``/details/<id>``; there is one book."""

    def answer(self, request: Request) -> Response:
        if request.path != "/details/0":
            return Response.not_found()
        return Response.of(_BOOK)
