"""Rules by what they are about."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from xdsd.model.limits import LimitRule

Entries = Sequence[tuple[str, str]]
"""A descriptor: keys and values."""

_Key = tuple[str, tuple[str, ...], str | None]


class RuleTable:
    """Finds the rules of a descriptor by its keys and its first value, so that many rules cost no more than few."""

    def __init__(self, rules: Iterable[LimitRule] = ()) -> None:
        self._rules: dict[_Key, list[LimitRule]] = defaultdict(list)
        for rule in rules:
            keys = tuple(key for key, _ in rule.entries)
            for first in rule.entries[0][1] or (None,):
                self._rules[rule.domain, keys, first].append(rule)

    def matching(self, domain: str, entries: Entries, namespace: str | None = None) -> Iterator[LimitRule]:
        """The rules that are about a descriptor, and that proxies of a ``namespace`` count by (None: it is not known); none
        for a descriptor without entries.
        """
        if not entries:
            return
        keys = tuple(key for key, _ in entries)
        for first in (entries[0][1], None):
            for rule in self._rules.get((domain, keys, first), ()):
                if namespace is not None and rule.namespaces is not None and namespace not in rule.namespaces:
                    continue
                if all(
                    not wanted or value in wanted
                    for (_, wanted), (_, value) in zip(rule.entries, entries, strict=True)
                ):
                    yield rule
