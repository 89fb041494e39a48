"""What is said before the CA's certificates expire."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta

import pytest
from structlog import get_logger

from storage.memory import MemoryStore
from tests.ca.making import DAY, DOMAIN, NOW, YEAR, intermediate, organisation, root
from tests.lab.eventually import eventually
from xdsd.ca.authority import Authority
from xdsd.ca.expiring import ExpiryWatch
from xdsd.ca.expiry import Expiry, Place, expiries, problems, sentence
from xdsd.ca.issuer import fingerprint
from xdsd.ca.sealing import Sealer
from xdsd.ca.stored import StoredRoots
from xdsd.health import State
from xdsd.model.key_type import KeyType
from xdsd.model.problem import Problem, Reason, Severity


def test_a_root_that_signs_is_told_once() -> None:
    """A root of the daemon's own is a root; it does not stand below itself."""
    ca = root()
    (found,) = expiries(ca.chain, [ca.certificate])
    assert found.place is Place.ROOT
    assert fingerprint(ca.certificate).startswith(found.id)
    assert found.expires == ca.certificate.not_valid_after_utc


def test_what_signs_below_a_root_is_told_too() -> None:
    """An intermediate's certificate, and the roots that are trusted, each once and by their places."""
    top = organisation()
    ca, other = intermediate(top), root()
    found = expiries((*top.chain, *other.chain), [ca.certificate, ca.certificate, other.certificate])
    assert [each.place for each in found] == [Place.ROOT, Place.ROOT, Place.ISSUING]
    assert "CN=intermediate" in sentence(found[2], NOW)


@pytest.mark.parametrize(
    ("life", "warned"),
    [(10 * YEAR, 90 * DAY), (100 * DAY, 20 * DAY), (timedelta(hours=50), timedelta(hours=10))],
)
def test_it_is_said_in_good_time(life: timedelta, warned: timedelta) -> None:
    """A fifth of its life before the end, three months before it at most, and as an error once it is over."""
    found = Expiry(Place.ROOT, "1", "CN=root", NOW, NOW + life)
    moment = timedelta(seconds=1)
    assert problems([found], found.expires - warned - moment, ours=True) == ()
    (soon,) = problems([found], found.expires - warned, ours=True)
    assert (soon.severity, soon.reason) == (Severity.WARNING, Reason.EXPIRES)
    assert f"expires at {found.expires.isoformat()}" in soon.message
    assert "xdsctl ca rotate --apply" in soon.message
    (late,) = problems([found], found.expires, ours=True)
    assert late.severity is Severity.ERROR
    assert "expired at" in late.message


def test_who_can_mend_it_is_said() -> None:
    """An intermediate is replaced in its files, a root of others by its owner."""
    found = [Expiry(place, "1", "CN=x", NOW - DAY, NOW) for place in (Place.ISSUING, Place.ROOT)]
    below, top = (each.message for each in problems(found, NOW, ours=False))
    assert "ca-cert and ca-key" in below
    assert "its owner" in top


class Heard:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.metrics: list[tuple[str, str, float]] = []
        self.problems: list[tuple[Problem, ...]] = []

    def ca_expires(self, found: Iterable[tuple[str, str, float]]) -> None:
        self.metrics = list(found)


async def test_it_is_told_wherever_somebody_looks() -> None:
    """Metrics have the time, problems and health the sentence; with another root in its place all is well again."""
    heard, log, clock = Heard(), get_logger(), [NOW]
    store, sealer = MemoryStore(), Sealer(b"k" * 32)
    roots = StoredRoots(store, sealer, DOMAIN, KeyType.ECDSA_P256, log, lambda: clock[0])
    authority = Authority(roots, DOMAIN, DAY, lambda: clock[0])
    watch = ExpiryWatch(authority, heard, lambda found: heard.problems.append(tuple(found)), ours=True)
    tasks = [asyncio.create_task(each) for each in (authority.run(), watch.run())]
    try:
        await authority.known()
        await eventually(lambda: bool(heard.metrics), "it has looked")
        (end,) = [each.expires for each in authority.expiries]
        assert heard.metrics == [("root", authority.root_ids[0], end.timestamp())]
        assert heard.problems[-1] == ()
        (check,) = watch.checks()
        assert (check.ok, "expires at" in check.detail) == (True, True)
        clock[0] = end
        authority._take(authority._trust)  # type: ignore[arg-type]  # the same trust, told anew
        await eventually(lambda: bool(heard.problems[-1]), "it is told")
        (check,) = watch.checks()
        assert (check.state, "expired at" in check.detail) == (State.STALE, True)
        clock[0] = NOW
        authority._take(authority._trust)  # type: ignore[arg-type]  # likewise
        await eventually(lambda: not heard.problems[-1], "all is well")
        watch.faulty("its files went")
        found = list(heard.problems).pop()
        assert [each.message for each in found] == ["its files went"]
        watch.faulty("")
        assert heard.problems[-1] == ()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
