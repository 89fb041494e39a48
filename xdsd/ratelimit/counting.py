"""From a question to the counters it concerns, and from their numbers to the answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from xdsd.model.limits import LimitRule
from xdsd.ratelimit.counters import Hit
from xdsd.ratelimit.rules import Entries, RuleTable


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a request is, and how many times it counts."""

    entries: Entries
    hits: int = 1


@dataclass(frozen=True, slots=True)
class Concern:
    """A rule that is about the descriptor at ``place``, and where it is counted."""

    place: int
    rule: LimitRule
    hit: Hit


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of a descriptor: of several rules the one that is closest to its limit. ``reset`` is in seconds."""

    rule: LimitRule
    over: bool
    remaining: int
    reset: int


def concerns(
    table: RuleTable,
    domain: str,
    descriptors: Sequence[Descriptor],
    now: float,
    namespace: str | None = None,
) -> list[Concern]:
    """Which rules are about a request, and what to count, for a proxy of a ``namespace`` if that is known. Rules that say
    the same of it share a counter.
    """
    return [
        Concern(place, rule, _hit(domain, descriptor, rule.seconds, now))
        for place, descriptor in enumerate(descriptors)
        for rule in table.matching(domain, descriptor.entries, namespace)
    ]


def hits(found: Sequence[Concern]) -> list[Hit]:
    """What to add, each counter once."""
    return list({concern.hit.key: concern.hit for concern in found}.values())


def verdicts(
    found: Sequence[Concern], counts: dict[str, int], number: int, now: float
) -> list[Verdict | None]:
    """One a descriptor, of ``number``; None where no rule is about it. ``counts`` include this request."""
    said: list[Verdict | None] = [None] * number
    for concern in found:
        left = concern.rule.requests - counts[concern.hit.key]
        reset = concern.rule.seconds - int(now) % concern.rule.seconds
        verdict = Verdict(concern.rule, left < 0, max(0, left), reset)
        other = said[concern.place]
        if other is None or _severity(verdict) > _severity(other):
            said[concern.place] = verdict
    return said


def _severity(verdict: Verdict) -> tuple[bool, int, int]:
    """Refusals first, the one that lasts longest; else what has least left."""
    return verdict.over, verdict.reset if verdict.over else 0, -verdict.remaining


def _hit(domain: str, descriptor: Descriptor, seconds: int, now: float) -> Hit:
    begin = int(now) // seconds * seconds
    parts = [domain, *(part for entry in descriptor.entries for part in entry)]
    told = "".join(f"{len(part)}:{part}" for part in parts)
    digest = blake2b(told.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return Hit(f"{digest}:{seconds}:{begin}", descriptor.hits, begin + seconds - now)
