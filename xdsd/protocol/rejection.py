"""Which of the resources that a proxy refused together is the bad one. Pure.

Envoy rejects with a text. For clusters and listeners the text names the guilty; then the others are innocent, though
the proxy may or may not have taken them, so they are offered once more without the guilty. Where the text names
nobody, the resources are offered again in halves, until a bad one stands alone.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from xdsd.snapshot import Resource

_LONGEST_TEXT = 1 << 16
_NAME_BYTES = r"[\w.|~/-]"


class Verdict(NamedTuple):
    """``guilty`` are not offered again; each of ``trials`` is a set of names to offer once more, together."""

    guilty: tuple[Resource, ...]
    trials: tuple[frozenset[str], ...]


def judge(resources: Sequence[Resource], removed: Sequence[str], message: str) -> Verdict:
    """The verdict on one refused response; ``removed`` names go with the first trial, as they may not have been taken."""
    if len(resources) == 1:
        return Verdict((resources[0],), _trials(removed))
    guilty = tuple(resource for resource in resources if _mentions(message[:_LONGEST_TEXT], resource.name))
    if guilty:
        blamed = {resource.name for resource in guilty}
        return Verdict(guilty, _trials([*(r.name for r in resources if r.name not in blamed), *removed]))
    names = [resource.name for resource in resources]
    half = len(names) // 2
    return Verdict((), _trials([*names[:half], *removed]) + _trials(names[half:]))


def _trials(names: Sequence[str]) -> tuple[frozenset[str], ...]:
    return (frozenset(names),) if names else ()


def _mentions(message: str, name: str) -> bool:
    """Whether ``name`` stands in the text as a word of its own, not inside a longer name."""
    if not name or name not in message:
        return False
    return re.search(rf"(?<!{_NAME_BYTES}){re.escape(name)}(?!{_NAME_BYTES}*[\w|~/-])", message) is not None
