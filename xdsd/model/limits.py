"""What the limiter counts by: rules, made from the RateLimits that are declared."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LimitRule:
    """Requests with a descriptor of these ``entries`` in ``domain`` may come ``requests`` times in ``seconds``.

    An entry is a key and the values that the rule is about; no values stand for all. ``name`` is for people:
    ``namespace/object/limit``. ``namespaces`` are those whose proxies are told to count by it; None: any may be.
    """

    domain: str
    entries: tuple[tuple[str, tuple[str, ...]], ...]
    requests: int
    seconds: int
    name: str
    namespaces: frozenset[str] | None = None
