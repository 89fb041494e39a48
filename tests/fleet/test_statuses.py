"""What is wrong with objects, written beside them."""

import json

from structlog.typing import FilteringBoundLogger

from storage.base import prefix_end
from tests.fleet.conftest import Away, running
from tests.lab.eventually import eventually
from xdsd.fleet.statuses import AT_ONCE, PREFIX, StatusWriter, key_of, statuses
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity

REVIEWS = ObjectRef("VirtualService", "default", "reviews")
RATINGS = ObjectRef("DestinationRule", "default", "ratings")


def problem(ref: ObjectRef | None, message: str, severity: Severity = Severity.WARNING) -> Problem:
    """A problem of an object."""
    return Problem(Reason.BROKEN_REFERENCE, message, ref, "spec.host", severity=severity)


async def stored(store: Away) -> dict[bytes, bytes]:
    """The statuses that stand in the store."""
    found = await store.range(PREFIX.encode(), prefix_end(PREFIX.encode()))
    return {kv.key: kv.value for kv in found.kvs}


def test_a_status_stands_beside_its_object() -> None:
    """The key of a status is that of its object in another folder."""
    assert key_of(REVIEWS) == b"/xdsd/status/virtualservices.networking.istio.io/default/reviews"


def test_a_status_says_whether_the_object_holds_and_what_is_wrong() -> None:
    """An error says that the object is not accepted, warnings leave it so; each message stands once, in order."""
    found = statuses(
        [
            problem(REVIEWS, "b"),
            problem(REVIEWS, "a", Severity.ERROR),
            problem(REVIEWS, "b"),
            problem(RATINGS, "c"),
            problem(None, "of no object"),
        ]
    )
    assert set(found) == {key_of(REVIEWS), key_of(RATINGS)}
    assert json.loads(found[key_of(REVIEWS)]) == {
        "conditions": [{"type": "Accepted", "status": "False"}],
        "validationMessages": [
            {"level": "ERROR", "type": "BrokenReference", "message": "spec.host: a"},
            {"level": "WARNING", "type": "BrokenReference", "message": "spec.host: b"},
        ],
    }
    assert json.loads(found[key_of(RATINGS)])["conditions"] == [{"type": "Accepted", "status": "True"}]


async def test_statuses_follow_the_problems(store: Away, logger: FilteringBoundLogger) -> None:
    """What another daemon left is taken over; what changes is written, what is solved removed, nothing else touched."""
    await store.put(key_of(RATINGS), b"left by another")
    problems = [problem(REVIEWS, "a")]
    async with running(StatusWriter(store, lambda: tuple(problems), logger, every=0.01).run):
        await eventually(lambda: _holds(store, {key_of(REVIEWS)}))
        written = await store.revision()
        problems.append(problem(RATINGS, "b"))
        await eventually(lambda: _holds(store, {key_of(REVIEWS), key_of(RATINGS)}))
        assert await store.revision() == written + 1
        problems.clear()
        await eventually(lambda: _holds(store, set()))


async def test_an_outage_is_waited_out(store: Away, logger: FilteringBoundLogger) -> None:
    """Statuses are right again after the store was away, also if somebody else wrote them meanwhile."""
    problems = [problem(REVIEWS, "a")]
    async with running(StatusWriter(store, lambda: tuple(problems), logger, every=0.01).run):
        await eventually(lambda: _holds(store, {key_of(REVIEWS)}))
        store.away = True
        problems[:] = [problem(RATINGS, "b")]
        await eventually(lambda: store.refused > 1)
        store.away = False
        await eventually(lambda: _holds(store, {key_of(RATINGS)}))


async def test_what_was_undone_is_written_again(store: Away, logger: FilteringBoundLogger) -> None:
    """A status that somebody else took away or changed, as a restore does, is right again; until then nothing is written."""
    problems = (problem(REVIEWS, "a"), problem(RATINGS, "b"))
    async with running(StatusWriter(store, lambda: problems, logger, every=0.01, afresh=0.05).run):
        await eventually(lambda: _holds(store, {key_of(REVIEWS), key_of(RATINGS)}))
        right = await stored(store)
        await store.delete(key_of(REVIEWS))
        undone = await store.put(key_of(RATINGS), b"other")

        async def restored() -> bool:
            return await stored(store) == right

        await eventually(restored)
        assert await store.revision() == undone + 1


async def test_many_statuses_are_written_in_parts(store: Away, logger: FilteringBoundLogger) -> None:
    """No transaction has more operations than etcd takes."""
    problems = tuple(problem(ObjectRef("VirtualService", "n", f"v{i}"), "a") for i in range(2 * AT_ONCE + 1))
    async with running(StatusWriter(store, lambda: problems, logger, every=0.01).run):
        await eventually(lambda: _count(store, len(problems)))
        assert await store.revision() == 1 + 3


async def _holds(store: Away, keys: set[bytes]) -> bool:
    return set(await stored(store)) == keys


async def _count(store: Away, count: int) -> bool:
    return len(await stored(store)) == count
