"""What operators are told of a Consul that works, but not as it should. Pure."""

from xdsd.model.problem import Problem, Reason, Severity
from xdsd.registry.consul.book import Book
from xdsd.registry.consul.client import Answer
from xdsd.registry.consul.services import Reader

_SHOWN = 5


class Remarks:
    """Those on one source."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def on(self, answer: Answer, oldest: float) -> tuple[Problem, ...]:
        """What is odd about an answer; ``oldest`` is how many seconds of age are no matter."""
        found = []
        if answer.filtered:
            message = "Consul hides some services from this token: let it read all services and nodes"
            found.append(self._remark(Reason.UNAVAILABLE, message))
        if not answer.believable or answer.age > oldest:
            message = (
                "the server that answers has no leader, or has not heard of it for long: this may be old"
            )
            found.append(self._remark(Reason.UNAVAILABLE, message))
        return tuple(found)

    def lost(self, book: Book) -> tuple[Problem, ...]:
        """That so many instances of services are kept which Consul forgot."""
        lost = book.lost(_SHOWN + 1)
        if not lost.instances:
            return ()
        shown = ", ".join(lost.services[:_SHOWN]) + (", …" if len(lost.services) > _SHOWN else "")
        message = (
            f"{lost.instances} instances of {shown} are served as they were, since Consul came back without them: they"
            f" are let go {self._reader.options.hold:.0f} s after that unless they are registered again"
        )
        return (self._remark(Reason.FORGOTTEN, message),)

    def unheld(self, why: str) -> Problem:
        """That what was held before the daemon's start cannot be read."""
        message = f"what was held for a Consul that forgot it cannot be read, and is let go: {why}"
        return self._remark(Reason.UNREADABLE_FILE, message)

    def swept(self, swept: int, of: int) -> Problem:
        """That there are too few connections."""
        message = (
            f"{swept} of {of} services are read in turn rather than followed, since there are"
            f" {self._reader.options.connections} connections: allow one a service in the agent's"
            " limits.http_max_conns_per_client, and in the option connections"
        )
        return self._remark(Reason.TOO_LARGE, message)

    def hidden(self, name: str, kept: int) -> Problem:
        """That Consul has instances of a service which it does not show, of which so many are ``kept`` as they were."""
        if kept:
            message = (
                f"{kept} instances are hidden from the token now, and served as they were: let it read the service and all"
                " nodes"
            )
        else:
            message = "is listed without any instance: the token may read services but not their nodes"
        return self._reader.problem(name, Reason.UNAVAILABLE, "", message, Severity.WARNING)

    def unread(self, name: str, why: str) -> Problem:
        """That a service cannot be read."""
        message = f"cannot be read, what was read last holds: {why}"
        return self._reader.problem(name, Reason.UNAVAILABLE, "", message)

    def _remark(self, reason: Reason, message: str) -> Problem:
        return Problem(reason, message, file=self._reader.source, severity=Severity.WARNING)
