"""Raw transactions that write objects."""

import asyncio
import json

import pytest

from storage.base import (
    Compare,
    Delete,
    Get,
    InvalidRequest,
    Op,
    Put,
    RangeResult,
    Store,
    Target,
    Txn,
    TxnResult,
    prefix_end,
)
from tests.intents.objects import NOW, apply, entry, route, rule, texts
from xdsd.intents import Author, Inadmissible, Intents, Record, Verdict, Wanted
from xdsd.manifest import AnyObject, object_to_dict
from xdsd.model.problem import ObjectRef

ALICE = Author("alice", "10.0.0.7")
ENTRIES = b"/xdsd/objects/serviceentries.networking.istio.io/"
RULES = b"/xdsd/objects/destinationrules.networking.istio.io/"
REVIEWS = ENTRIES + b"default/reviews"


def text(obj: AnyObject) -> bytes:
    return json.dumps(object_to_dict(obj)).encode()


def put(obj: AnyObject, key: bytes = b"") -> Put:
    return Put(key or ENTRIES + f"{obj.metadata.namespace}/{obj.metadata.name}".encode(), text(obj))


async def run(
    intents: Intents, *steps: Put | Delete | Get | Txn, compare: tuple[Compare, ...] = ()
) -> TxnResult:
    return (await intents.transact(Txn(compare, steps), now=NOW, author=ALICE)).result


async def test_an_object_is_put_as_apply_puts_it(intents: Intents, store: Store) -> None:
    """Canonical, with its generation and time, and a record of who did it, all of one revision."""
    result = await run(intents, put(entry()))
    found = await intents.get(ObjectRef("ServiceEntry", "default", "reviews"))
    assert found is not None
    assert (found.metadata.generation, found.metadata.creation_timestamp) == (1, NOW)
    assert found.metadata.resource_version == str(result.revision)
    (record,) = (await intents.history(Wanted())).records
    assert (record.verdict, record.author, record.revision) == (Verdict.CREATED, ALICE, result.revision)
    assert record.before is None
    assert result.responses == ((),)


async def test_what_was_replaced_is_told(intents: Intents, store: Store) -> None:
    """As the store tells it of any key, and what was added to the transaction is not told."""
    await apply(intents, entry())
    before = await store.get(REVIEWS)
    result = await run(intents, put(entry(port=80)), Put(b"/app/x", b"1"))
    assert result.responses == ((before,), ())
    (record, _) = (await intents.history(Wanted())).records
    assert (record.verdict, record.revision) == (Verdict.CONFIGURED, result.revision)


async def test_the_same_again_is_written_again(intents: Intents, store: Store) -> None:
    """A client of etcd that puts a key sees its revision rise."""
    applied = await apply(intents, entry())
    result = await run(intents, put(entry()))
    assert result.revision == applied.revision + 1
    assert (await intents.history(Wanted())).records[0].verdict is Verdict.UNCHANGED
    found = await intents.get(ObjectRef("ServiceEntry", "default", "reviews"))
    assert found is not None
    assert found.metadata.generation == 1


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        (Put(REVIEWS, b"x"), "ServiceEntry default/reviews: an object is not JSON"),
        (Put(REVIEWS, b'{"a": 1, "a": 2}'), "'a' stands twice"),
        (put(entry("other"), REVIEWS), "the value is ServiceEntry default/other; put it under its own key"),
        (put(entry(), RULES + b"default/reviews"), "the value is ServiceEntry default/reviews"),
        (Put(b"/xdsd/objects/x", b"{}"), "/xdsd/objects/x is no key of an object; those are"),
        (Put(ENTRIES + b"default/\xff", b"{}"), r"default/\xff is no key of an object"),
        (put(entry(resourceVersion="999")), "metadata.resourceVersion: '999' is out of date"),
    ],
)
async def test_what_admission_refuses_is_not_written(
    intents: Intents, store: Store, step: Put, sentence: str
) -> None:
    """Nor is anything beside it, on either way."""
    for steps in (Txn((), (Put(b"/app/x", b"1"), step)), Txn((), (Put(b"/app/x", b"1"),), (step,))):
        with pytest.raises(Inadmissible) as caught:
            await intents.transact(steps, now=NOW, author=ALICE)
        assert sentence in str(caught.value)
    assert await store.get(b"/app/x") is None
    assert await store.revision() == 1


async def test_an_object_goes_with_no_lease(intents: Intents, store: Store) -> None:
    """It would go without a record, and nobody would be warned."""
    lease = await store.grant(60)
    with pytest.raises(InvalidRequest, match="would go with the lease unseen"):
        await run(intents, Put(REVIEWS, text(entry()), lease))


async def test_deleting_a_range_leaves_records(intents: Intents, store: Store) -> None:
    """One an object, of the revision in which all went; the store tells what it removed."""
    await apply(intents, entry("a"), entry("b"), rule("a", "v1"))
    result = await run(intents, Delete(ENTRIES, prefix_end(ENTRIES)))
    (removed,) = result.responses
    assert isinstance(removed, tuple)
    assert [kv.key for kv in removed] == [ENTRIES + b"default/a", ENTRIES + b"default/b"]
    page = await intents.history(Wanted(since=result.revision))
    assert {(each.ref.name, each.verdict, each.after) for each in page.records} == {
        ("a", Verdict.DELETED, None),
        ("b", Verdict.DELETED, None),
    }
    assert len((await intents.list()).objects) == 1


async def test_objects_and_their_records_are_not_deleted_at_once(intents: Intents, store: Store) -> None:
    """The records of the deletion would be deleted by it."""
    await apply(intents, entry())
    with pytest.raises(InvalidRequest, match="delete /xdsd/objects/ first"):
        await run(intents, Delete(b"/xdsd/", prefix_end(b"/xdsd/")))
    assert await store.get(REVIEWS) is not None


async def test_comparisons_are_the_stores(intents: Intents, store: Store) -> None:
    """Only the way that is gone is recorded, inside inner transactions too."""
    absent = Compare(REVIEWS, Target.VERSION, Op.EQUAL, 0)
    inner = Txn((absent,), (put(entry()), Get(REVIEWS)), (Delete(REVIEWS),))
    first = await run(intents, Put(b"/app/n", b"1"), inner)
    done = first.responses[1]
    assert isinstance(done, TxnResult)
    assert (done.succeeded, len(done.responses)) == (True, 2)
    assert isinstance(done.responses[1], RangeResult)
    assert done.responses[1].kvs[0].create_revision == first.revision
    second = await run(intents, Put(b"/app/n", b"2"), inner)
    done = second.responses[1]
    assert isinstance(done, TxnResult)
    assert not done.succeeded
    records = (await intents.history(Wanted())).records
    assert [(each.verdict, each.revision) for each in records] == [
        (Verdict.DELETED, second.revision),
        (Verdict.CREATED, first.revision),
    ]


async def test_admission_remarks_come_back(intents: Intents) -> None:
    """Those of what is written, and of what now misses something."""
    await apply(intents, entry("reviews"), rule("reviews", "v1"))
    key = b"/xdsd/objects/virtualservices.networking.istio.io/default/reviews"
    done = await intents.transact(Txn((), (put(route("reviews", subset="v2"), key),)), now=NOW, author=ALICE)
    assert any("defines the subset 'v2'" in each for each in texts(done.problems))
    assert done.result.succeeded


async def test_writers_of_one_object_lose_nothing(intents: Intents, store: Store) -> None:
    """Each of many that write at once is recorded with what it replaced."""
    await asyncio.gather(*(run(intents, put(entry(port=port))) for port in range(1000, 1020)))
    records = (await intents.history(Wanted())).records
    assert len(records) == 20
    told = list(reversed(records))
    ports = [_port(each.after) for each in told]
    assert sorted(ports) == list(range(1000, 1020))
    assert [_port(each.before) for each in told[1:]] == ports[:-1]


async def test_what_touches_no_object_is_left_to_the_store(store: Store) -> None:
    """It leaves no record."""
    told: list[Record] = []
    intents = Intents(store, audit=told.extend)
    result = await run(intents, Put(b"/app/x", b"1"), Get(b"/app/x"))
    assert result.succeeded
    assert (await intents.history(Wanted())).records == ()
    assert told == []
    await run(intents, put(entry()))
    assert [(each.author, each.revision) for each in told] == [(ALICE, 3)]


def _port(obj: AnyObject | None) -> int:
    assert obj is not None
    number: int = obj.spec.ports[0].number
    return number
