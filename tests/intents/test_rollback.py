"""Rolling back makes an object what it was, as an ordinary write."""

from datetime import datetime, timedelta

import pytest

from storage.base import Store
from tests.intents.objects import LATER, NOW, apply, entry, route, texts
from xdsd.intents import Author, Intents, Verdict, Wanted
from xdsd.manifest import AnyObject
from xdsd.model.problem import ObjectRef, Problem, Reason

REF = entry().ref
FAR = datetime.fromisoformat(LATER) + timedelta(days=1)


async def port(intents: Intents) -> int:
    """The port of the object as it is now."""
    found = await intents.get(REF)
    assert found is not None
    number: int = found.spec.ports[0].number
    return number


async def written(intents: Intents) -> None:
    """Port 1 since revision 2, port 2 since 3, another object in 4, port 3 since 5."""
    await apply(intents, entry(port=1, labels={"first": "yes"}))
    await apply(intents, entry(port=2))
    await apply(intents, entry("other"))
    await apply(intents, entry(port=3))


@pytest.mark.parametrize(("revision", "expected"), [(2, 1), (3, 2), (4, 2), (5, 3)])
async def test_it_is_as_at_the_revision(intents: Intents, revision: int, expected: int) -> None:
    """Of any revision, also one in which something else was written; labels too."""
    await written(intents)
    applied = await intents.rollback(REF, revision, now=LATER, author=Author("alice"))
    assert applied.accepted
    assert await port(intents) == expected
    now = await intents.get(REF)
    assert now is not None
    assert now.metadata.labels == ({"first": "yes"} if revision == 2 else {})
    assert now.metadata.creation_timestamp == NOW


async def test_it_is_recorded_as_what_it_is(intents: Intents) -> None:
    """The record tells the revision that was gone back to, and who went; it can be rolled back as well."""
    await written(intents)
    applied = await intents.rollback(REF, 2, now=LATER, author=Author("alice"))
    newest, *_ = (await intents.history(Wanted())).records
    assert (newest.revision, newest.verdict, newest.rolled_back_to) == (6, Verdict.CONFIGURED, 2)
    assert (newest.author.who, newest.time) == ("alice", LATER)
    assert applied.outcomes[0].object is not None
    assert applied.outcomes[0].object.metadata.generation == 4
    assert (await intents.rollback(REF, 5, now=LATER)).accepted
    assert await port(intents) == 3


async def test_nothing_changes_where_it_is_so(store: Store, intents: Intents) -> None:
    """The state of now is not written again."""
    await written(intents)
    applied = await intents.rollback(REF, 5, now=LATER)
    assert [each.verdict for each in applied.outcomes] == [Verdict.UNCHANGED]
    assert await store.revision() == 5


async def test_a_dry_run_writes_nothing(store: Store, intents: Intents) -> None:
    """It says what would be."""
    await written(intents)
    applied = await intents.rollback(REF, 2, now=LATER, dry_run=True)
    assert [each.verdict for each in applied.outcomes] == [Verdict.CONFIGURED]
    assert (await store.revision(), await port(intents)) == (5, 3)


async def test_a_deleted_object_comes_back(intents: Intents) -> None:
    """As it was before it was deleted, as a new object of that name."""
    await written(intents)
    before = await intents.get(REF)
    await intents.delete([REF], now=NOW)
    applied = await intents.rollback(REF, 5, now=LATER)
    assert [each.verdict for each in applied.outcomes] == [Verdict.CREATED]
    back = await intents.get(REF)
    assert back is not None
    assert before is not None
    assert back.spec == before.spec
    assert back.metadata.uid != before.metadata.uid
    assert (await intents.history(Wanted())).records[0].rolled_back_to == 5


async def test_to_before_it_was(store: Store, intents: Intents) -> None:
    """An object cannot be rolled back to not being; the problem says what does that, and where it was written."""
    await apply(intents, entry("other"))
    await apply(intents, entry(port=1))
    refused = await intents.rollback(REF, 2, now=LATER)
    assert texts(refused.problems) == [
        "ServiceEntry default/reviews: did not exist at revision 2; to have it so, delete it; it was written at revision 3"
    ]
    await intents.delete([REF], now=NOW)
    for revision in (2, 4):
        (problem,) = (await intents.rollback(REF, revision, now=LATER)).problems
        assert problem.message == (
            f"did not exist at revision {revision}; nor does it now; it was written at revision 4, 3"
        )
    assert await store.revision() == 4


async def test_an_object_that_never_was(intents: Intents) -> None:
    """No record, no object."""
    await apply(intents, entry("other"))
    (problem,) = (await intents.rollback(REF, 2, now=LATER)).problems
    assert (problem.reason, problem.message) == (
        Reason.BROKEN_REFERENCE,
        "does not exist, and no record tells that it did",
    )


@pytest.mark.parametrize("revision", [-1, 0, 6, 1 << 62])
async def test_a_revision_that_has_not_happened(intents: Intents, revision: int) -> None:
    """The newest is named, and those of the object."""
    await written(intents)
    (problem,) = (await intents.rollback(REF, revision, now=LATER)).problems
    assert (problem.reason, problem.message) == (
        Reason.OUT_OF_RANGE,
        f"revision {revision} has not happened; the newest is 5; it was written at revision 5, 3, 2",
    )


async def test_many_revisions_are_not_all_named(intents: Intents) -> None:
    """The newest few, and that there are others."""
    for number in range(1, 10):
        await apply(intents, entry(port=number))
    (problem,) = (await intents.rollback(REF, 99, now=LATER)).problems
    assert problem.message.endswith("it was written at revision 10, 9, 8, 7, 6, and older ones")


async def test_what_the_records_forgot_the_store_may_know(store: Store, intents: Intents) -> None:
    """Without records the store's own revisions are asked, until they are compacted."""
    await written(intents)
    await intents.forget_history(FAR)
    assert (await intents.rollback(REF, 2, now=LATER)).accepted
    assert await port(intents) == 1
    await store.compact(await store.revision())
    refused = await intents.rollback(REF, 3, now=LATER)
    assert [(each.reason, each.message.partition(";")[0]) for each in refused.problems] == [
        (Reason.OUT_OF_RANGE, "what it was at revision 3 is no longer kept")
    ]


async def test_what_nobody_wrote_since_is_known_without_records(store: Store, intents: Intents) -> None:
    """An object that was last written before the revision is what it was then."""
    await written(intents)
    await intents.forget_history(FAR)
    await apply(intents, entry("other", port=5))
    await store.compact(await store.revision())
    applied = await intents.rollback(REF, 6, now=LATER)
    assert [each.verdict for each in applied.outcomes] == [Verdict.UNCHANGED]


async def test_what_was_written_past_us(store: Store, intents: Intents) -> None:
    """An object without any record is asked of the store; what is none cannot be read."""
    key = b"/xdsd/objects/serviceentries.networking.istio.io/default/reviews"
    await store.put(key, b"nonsense")
    (problem,) = (await intents.rollback(REF, 2, now=LATER)).problems
    assert problem.message == "what it was at revision 2 cannot be read"
    await apply(intents, entry(port=1))
    (unreadable,) = (await intents.rollback(REF, 2, now=LATER)).problems
    assert unreadable.message == "what it was at revision 2 cannot be read; it was written at revision 3"


async def test_what_was_admitted_once_is_admitted_again_or_not(store: Store) -> None:
    """A rollback passes today's admission: rules that became stricter refuse it, remarks come with it."""
    await apply(Intents(store), route("reviews", subset="v1"))
    await apply(Intents(store), route("reviews"))

    def strict(obj: AnyObject) -> list[Problem]:
        dated = obj.spec.http[0].route[0].destination.subset
        return [Problem(Reason.NOT_SUPPORTED, "no subsets any more", obj.ref)] if dated else []

    ref = ObjectRef("VirtualService", "default", "reviews")
    refused = await Intents(store, rules=[strict]).rollback(ref, 2, now=LATER)
    assert texts(refused.problems) == ["VirtualService default/reviews: no subsets any more"]
    taken = await Intents(store).rollback(ref, 2, now=LATER)
    assert taken.accepted
    assert [each.reason for each in taken.problems] == [Reason.BROKEN_REFERENCE]


async def test_an_unknown_kind_is_the_callers_fault(intents: Intents) -> None:
    """Nobody asks for kinds that there are not: services have checked before."""
    await written(intents)
    with pytest.raises(KeyError):
        await intents.rollback(ObjectRef("Pod", "default", "a"), 2, now=LATER)
