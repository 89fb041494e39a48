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
_MARK = re.compile(r"(?:^|\n|, |\(s\) )([^\s,]+?): ")  # how Envoy begins what it says of one of several
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


def words_about(names: Sequence[str], message: str) -> dict[str, str]:
    """What the text says of each name alone; all of it for a name that it has no words of its own for."""
    wanted = frozenset(names)
    marks = [mark for mark in _MARK.finditer(message) if mark[1] in wanted] if len(names) > 1 else []
    ends = [*(mark.start() for mark in marks), len(message)][1:]
    own = {mark[1]: message[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=True)}
    return {name: own.get(name) or message for name in names}


def _trials(names: Sequence[str]) -> tuple[frozenset[str], ...]:
    return (frozenset(names),) if names else ()


def _mentions(message: str, name: str) -> bool:
    """Whether ``name`` stands in the text as a word of its own, not inside a longer name."""
    if not name or name not in message:
        return False
    return re.search(rf"(?<!{_NAME_BYTES}){re.escape(name)}(?!{_NAME_BYTES}*[\w|~/-])", message) is not None
