"""Which objects ask for what proxies refuse, for commands that tell of refusals."""

from collections.abc import Iterable

from api.client import ApiError, Client
from api.commands.problems import sentences
from api.wire import problem_from_wire
from xdsd.model.problem import Problem, Reason


def who_is_to_blame(clients: Iterable[Client]) -> list[str]:
    """A line for each, as far as the caller may know, with what proxies say."""
    found: dict[Problem, None] = {}
    for client in clients:
        try:
            problems = client.problems()
        except ApiError:
            continue  # who may see proxies need not be allowed to read objects
        found.update(dict.fromkeys(map(problem_from_wire, problems)))
    blamed = [each for each in found if each.reason is Reason.REJECTED_BY_PROXY and each.object is not None]
    return sentences(blamed)
