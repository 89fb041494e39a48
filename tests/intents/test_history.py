"""Every write leaves a record of each object: who, from where, what, before and after."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from storage.base import Store
from storage.limits import Limits
from storage.memory import MemoryStore
from tests.intents.objects import LATER, NOW, apply, entry, route, rule
from xdsd.intents import Author, Intents, Record, Undecodable, Verdict, Wanted
from xdsd.model.problem import ObjectRef, Reason

ALICE, BOB = Author("alice", "unix uid=1000 pid=1"), Author("bob", "192.0.2.7:4000")
REVIEWS = entry().ref
ALL = Wanted()


@pytest.fixture
def told() -> list[Record]:
    """What the audit was told."""
    return []


@pytest.fixture
def intents(store: Store, told: list[Record]) -> Intents:
    return Intents(store, audit=told.extend)


def brief(records: Sequence[Record]) -> list[tuple[int, str, str]]:
    """Revision, who and what."""
    return [(each.revision, each.author.who, each.verdict) for each in records]


async def test_a_write_leaves_one_record(intents: Intents, told: list[Record]) -> None:
    """Created, changed and deleted are told with both states, author, time and the revision of the write."""
    created = (await intents.apply([entry()], now=NOW, author=ALICE)).outcomes[0].object
    changed = (await intents.apply([entry(port=80)], now=LATER, author=BOB)).outcomes[0].object
    await intents.delete([REVIEWS], now=LATER, author=ALICE)
    page = await intents.history(ALL)
    assert (page.more, page.kept_since) == (False, 0)
    assert [each.author for each in page.records] == [ALICE, BOB, ALICE]
    assert [(each.revision, each.verdict, each.time, each.ref) for each in page.records] == [
        (4, Verdict.DELETED, LATER, REVIEWS),
        (3, Verdict.CONFIGURED, LATER, REVIEWS),
        (2, Verdict.CREATED, NOW, REVIEWS),
    ]
    deleted, configured, first = page.records
    assert created is not None
    assert changed is not None
    assert (first.before, deleted.after) == (None, None)
    assert first.after is not None
    assert configured.after is not None
    assert (first.after.spec, configured.after.spec) == (created.spec, changed.spec)
    assert (configured.before, deleted.before) == (first.after, configured.after)
    assert brief(told) == brief(page.records[::-1])


async def test_what_is_not_written_leaves_none(intents: Intents, told: list[Record]) -> None:
    """Dry runs, refusals and what is so already are no writes."""
    await apply(intents, entry())
    await apply(intents, entry())
    await intents.apply([entry(port=80)], now=NOW, dry_run=True)
    await intents.apply([entry("b"), entry(port=80, resourceVersion="99")], now=NOW)
    await intents.delete([REVIEWS], now=NOW, dry_run=True)
    await intents.delete([REVIEWS, entry("b").ref], now=NOW)
    assert brief((await intents.history(ALL)).records) == [(2, "xdsd", Verdict.CREATED)]
    assert len(told) == 1


async def test_objects_of_one_write_have_records_of_one_revision(store: Store, intents: Intents) -> None:
    """All of a write or none of it, objects and records: they are one transaction, in one revision."""
    await apply(intents, entry("a"))
    await apply(intents, entry("a", port=80), entry("b"), rule("c", "v1"))
    page = await intents.history(Wanted(since=3))
    assert {each.revision for each in page.records} == {3}
    assert {each.ref.name: each.verdict for each in page.records} == {
        "a": "configured",
        "b": "created",
        "c": "created",
    }
    assert await store.revision() == 3
    refused = await intents.apply([entry("d"), entry("a", port=81, resourceVersion="2")], now=NOW)
    assert not refused.accepted
    assert (await store.revision(), len((await intents.history(ALL)).records)) == (3, 4)
    assert await intents.get(entry("d").ref) is None


async def test_records_by_what_is_wanted(intents: Intents) -> None:
    """By kind, namespace, name, revisions and times, and those that the caller may read; alone and together."""
    await apply(intents, entry("a"), entry("b", namespace="other"), rule("a"))
    await apply(intents, entry("a", port=80), now=LATER)

    async def found(**wanted: object) -> list[tuple[int, str]]:
        page = await intents.history(Wanted(**wanted))  # type: ignore[arg-type]  # any of its fields
        return sorted(
            (each.revision, f"{each.ref.kind}/{each.ref.namespace}/{each.ref.name}") for each in page.records
        )

    a, b, c = "ServiceEntry/default/a", "ServiceEntry/other/b", "DestinationRule/default/a"
    assert await found(kind="ServiceEntry") == [(2, a), (2, b), (3, a)]
    assert await found(kind="ServiceEntry", namespace="default", name="a") == [(2, a), (3, a)]
    assert await found(namespace="other") == [(2, b)]
    assert await found(name="a", before=3) == [(2, c), (2, a)]
    assert await found(since=3) == [(3, a)]
    assert await found(since_time=datetime.fromisoformat(LATER)) == [(3, a)]
    assert await found(before_time=datetime.fromisoformat(LATER)) == [(2, c), (2, a), (2, b)]
    assert await found(before_time=datetime(1, 1, 1, tzinfo=UTC)) == []
    assert await found(readable=lambda namespace: namespace == "other") == [(2, b)]
    with pytest.raises(KeyError):
        await found(kind="Pod")


async def test_a_page_is_full_of_what_may_be_read(intents: Intents) -> None:
    """The limit counts what the caller sees, so that a page is empty only at the end."""
    await apply(intents, entry("a", namespace="seen"))
    for port in range(80, 90):
        await apply(intents, entry("b", port=port))
    page = await intents.history(Wanted(readable=lambda namespace: namespace == "seen"), 5)
    assert ([each.revision for each in page.records], page.more) == ([2], False)
    rest = await intents.history(Wanted(namespace="default"), 5)
    assert ([each.revision for each in rest.records], rest.more) == ([12, 11, 10, 9, 8], True)


async def test_two_writers_conflict_and_neither_is_lost(intents: Intents) -> None:
    """Of two changes to one version one is refused, told who was faster; both objects of other writes are kept."""
    await intents.apply([entry()], now=NOW, author=ALICE)
    kept = await intents.get(REVIEWS)
    assert kept is not None
    version = kept.metadata.resource_version
    done = await asyncio.gather(
        intents.apply([entry(port=80, resourceVersion=version)], now=LATER, author=ALICE),
        intents.apply([entry(port=81, resourceVersion=version)], now=LATER, author=BOB),
    )
    assert sorted(each.accepted for each in done) == [False, True]
    (winner,) = [each for each in done if each.accepted]
    (loser,) = [each for each in done if not each.accepted]
    (problem,) = loser.problems
    newest = (await intents.history(ALL)).records[0]
    assert (problem.reason, problem.path) == (Reason.CONFLICT, "metadata.resourceVersion")
    assert problem.message == (
        "'2' is out of date: the object is at 3; get it again and make the change there, or leave this out; "
        f"{newest.author.who} changed it at {LATER}, from {newest.author.origin}"
    )
    now = await intents.get(REVIEWS)
    assert now == winner.outcomes[0].object


async def test_a_conflict_with_a_removal_names_who_removed(intents: Intents) -> None:
    """What is gone was deleted by somebody; what the history does not tell of is nobody's."""
    await intents.apply([entry()], now=NOW, author=ALICE)
    await intents.delete([REVIEWS], now=LATER, author=BOB)
    (problem,) = (await intents.apply([entry(resourceVersion="2")], now=LATER)).problems
    assert problem.message.endswith(f"; bob deleted it at {LATER}, from {BOB.origin}")
    (unknown,) = (await intents.apply([entry("b", resourceVersion="2")], now=LATER)).problems
    assert unknown.message.endswith(
        "there is no such object; get it again and make the change there, or leave this out"
    )


async def test_writers_without_versions_all_leave_their_records(intents: Intents) -> None:
    """Each of many writers at once is told as written, and each write has a record that follows from the one before."""
    done = await asyncio.gather(*(intents.apply([entry(port=port)], now=NOW) for port in range(1, 21)))
    assert all(each.accepted for each in done)
    records = (await intents.history(ALL)).records
    assert len({each.revision for each in records}) == len(records) == 20
    for newer, older in pairwise(records):
        assert newer.before == older.after


async def test_forgetting_keeps_what_is_younger(intents: Intents) -> None:
    """Only records older than the time go; the page says from which revision on all are kept, and it is done once."""
    await apply(intents, entry("a"))
    await apply(intents, entry("b"), now="2026-01-31T18:00:00Z")
    await apply(intents, entry("a", port=80), now=LATER)
    moment = datetime.fromisoformat("2026-01-31T18:00:00Z")
    assert await intents.forget_history(moment) == 1
    page = await intents.history(ALL)
    assert ([each.revision for each in page.records], page.kept_since) == ([4, 3], 3)
    assert await intents.forget_history(moment) == 0
    assert await intents.forget_history(moment - timedelta(days=30)) == 0
    assert (await intents.history(ALL)).kept_since == 3
    assert await intents.forget_history(datetime.fromisoformat(LATER) + timedelta(seconds=1)) == 2
    page = await intents.history(ALL)
    assert (page.records, page.kept_since) == ((), 5)
    assert await intents.get(entry("a").ref) is not None


async def test_forgetting_many_and_by_several_at_once(intents: Intents) -> None:
    """Hundreds of records go in parts, and two who do it together do it once."""
    await apply(intents, *(entry(f"e{number}") for number in range(250)))
    await apply(intents, entry("late"), now=LATER)
    moment = datetime.fromisoformat(LATER)
    counts = await asyncio.gather(intents.forget_history(moment), intents.forget_history(moment))
    assert max(counts) == 250
    page = await intents.history(ALL)
    assert ([each.ref.name for each in page.records], page.kept_since) == (["late"], 3)


async def test_records_are_no_objects(intents: Intents) -> None:
    """Lists of objects do not hold their records, and deleting all objects leaves the records."""
    await apply(intents, entry())
    assert len((await intents.list()).objects) == 1
    await intents.delete([REVIEWS], now=NOW)
    assert len((await intents.history(ALL)).records) == 2


async def test_records_that_cannot_be_read(store: Store, intents: Intents) -> None:
    """What another version wrote, or an odd hand, is told as far as it goes, and does not hide the others."""
    await apply(intents, entry())
    prefix = b"/xdsd/history/serviceentries.networking.istio.io/default/reviews/"
    await store.put(prefix + b"1769860800000-odd", b"nonsense")
    state = {"apiVersion": "networking.istio.io/v9", "kind": "ServiceEntry", "spec": {"new": 1}}
    newer = {"time": NOW, "who": "eve", "origin": "", "verdict": "configured", "before": None, "after": state}
    await store.put(prefix + b"1769860800001-new", json.dumps(newer).encode())
    await store.put(b"/xdsd/history/unicorns/default/a/1", b"{}")
    records = (await intents.history(ALL)).records
    assert brief(records) == [(4, "eve", "configured"), (3, "unknown", "configured"), (2, "xdsd", "created")]
    assert [each.after is None for each in records] == [True, True, False]
    assert records[1].time == "2026-01-31T12:00:00+00:00"


async def test_an_unreadable_object_is_told_as_far_as_it_goes(store: Store, intents: Intents) -> None:
    """Whoever replaces or removes what was no object leaves a record without its state before."""
    key = b"/xdsd/objects/serviceentries.networking.istio.io/default/reviews"
    await store.put(key, b"nonsense")
    with pytest.raises(Undecodable):
        await intents.get(REVIEWS)
    await apply(intents, entry())
    (record,) = (await intents.history(ALL)).records
    assert (record.verdict, record.before) == (Verdict.CONFIGURED, None)


async def test_a_write_that_warns_is_recorded_all_the_same(intents: Intents) -> None:
    """Remarks come back with the write; the record has the object alone."""
    applied = await intents.apply([route("reviews", subset="v9")], now=NOW, author=ALICE)
    assert [each.reason for each in applied.problems] == [Reason.BROKEN_REFERENCE]
    (record,) = (await intents.history(Wanted("VirtualService", "default", "reviews"))).records
    assert record.ref == ObjectRef("VirtualService", "default", "reviews")


@pytest.mark.parametrize("limits", [Limits(transaction=8_000), Limits(operations=30)])
async def test_more_than_a_transaction_holds(limits: Limits) -> None:
    """Applying and deleting too much at once is a problem, with the way to part it; nothing is written or recorded."""
    store = MemoryStore(limits=limits)
    intents = Intents(store)
    many = [entry(f"e{number}") for number in range(20)]
    refused = await intents.apply(many, now=NOW)
    assert not refused.accepted
    (problem,) = refused.problems
    assert problem.reason is Reason.TOO_LARGE
    assert problem.message.endswith("apply in parts, each a transaction of its own: --chunk")
    assert await store.revision() == 1
    for start in range(0, 20, 5):
        await apply(intents, *many[start : start + 5])
    deleted = await intents.delete([obj.ref for obj in many], now=NOW)
    assert [each.reason for each in deleted.problems] == [Reason.TOO_LARGE]
    assert (deleted.accepted, len((await intents.list()).objects)) == (False, 20)
    assert len((await intents.history(ALL)).records) == 20
