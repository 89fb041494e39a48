"""What objects were at revisions: from their records, and from the store where these do not reach."""

from datetime import datetime, timedelta

import pytest

from storage.base import Compacted, FutureRevision, Store
from tests.intents.objects import LATER, NOW, apply, entry, rule
from xdsd.intents import Differences, Intents, Wanted
from xdsd.intents.history import History
from xdsd.intents.keys import Keys
from xdsd.model.intent import KINDS

ALL = Wanted()
FAR = datetime.fromisoformat(LATER) + timedelta(days=1)


def brief(found: Differences) -> dict[str, tuple[int, int]]:
    """The port before and after by name; 0 where there is no object."""
    return {
        ref.name: (before.spec.ports[0].number if before else 0, after.spec.ports[0].number if after else 0)
        for ref, (before, after) in found.items()
    }


async def written(intents: Intents) -> None:
    """2: a, b; 3: a changed; 4: b deleted, 5: c; 6: a as it was."""
    await apply(intents, entry("a", port=1), entry("b", port=1))
    await apply(intents, entry("a", port=2))
    await intents.delete([entry("b").ref], now=NOW)
    await apply(intents, entry("c", port=1))
    await apply(intents, entry("a", port=1))


async def test_what_changed_between_two_revisions(intents: Intents) -> None:
    """Objects that differ, as they were at the first and at the second; what came back is no difference."""
    await written(intents)
    assert brief(await intents.between(2, 4, ALL)) == {"a": (1, 2), "b": (1, 0)}
    assert brief(await intents.between(1, 2, ALL)) == {"a": (0, 1), "b": (0, 1)}
    assert brief(await intents.between(2, 0, ALL)) == {"b": (1, 0), "c": (0, 1)}
    assert brief(await intents.between(0, 0, ALL)) == {"a": (0, 1), "c": (0, 1)}
    assert brief(await intents.between(3, 3, ALL)) == {}
    assert brief(await intents.between(4, 2, ALL)) == {"a": (2, 1), "b": (0, 1)}


async def test_what_changed_of_some(intents: Intents) -> None:
    """Narrowed by kind, namespace and name."""
    await written(intents)
    await apply(intents, rule("a", "v1"), entry("d", port=1, namespace="other"))
    assert brief(await intents.between(2, 0, Wanted("ServiceEntry", "default"))) == {"b": (1, 0), "c": (0, 1)}
    assert brief(await intents.between(2, 0, Wanted("ServiceEntry", "default", "c"))) == {"c": (0, 1)}
    assert brief(await intents.between(2, 0, Wanted(namespace="other"))) == {"d": (0, 1)}
    assert list(await intents.between(2, 0, Wanted("DestinationRule"))) == [rule("a").ref]


async def test_a_compaction_takes_nothing_away(store: Store, intents: Intents) -> None:
    """The store may forget its revisions: the records are keys of their own."""
    await written(intents)
    await store.compact(await store.revision())
    with pytest.raises(Compacted):
        await store.get(b"/xdsd/objects/a", revision=2)
    assert brief(await intents.between(2, 4, ALL)) == {"a": (1, 2), "b": (1, 0)}
    back = await intents.rollback(entry("b").ref, 3, now=NOW)
    assert back.accepted
    assert brief(await intents.between(3, 0, Wanted(name="b"))) == {}


async def test_what_is_forgotten_cannot_be_compared(intents: Intents) -> None:
    """Up to the last revision whose records are gone all is known, since nothing older is needed for it."""
    await apply(intents, entry("a", port=1))
    await apply(intents, entry("a", port=2))
    await apply(intents, entry("a", port=3), now=LATER)
    await apply(intents, entry("a", port=4), now=LATER)
    await intents.forget_history(datetime.fromisoformat(LATER))
    with pytest.raises(Compacted) as caught:
        await intents.between(2, 0, ALL)
    assert caught.value.compact_revision == 3
    assert brief(await intents.between(3, 0, ALL)) == {"a": (2, 4)}
    with pytest.raises(Compacted):
        await intents.between(0, 2, ALL)


async def test_the_future_cannot_be_compared(intents: Intents) -> None:
    """Neither as the first nor as the second."""
    await written(intents)
    for first, second in ((2, 99), (99, 2), (99, 0)):
        with pytest.raises(FutureRevision, match="the newest is 6"):
            await intents.between(first, second, ALL)


async def test_many_writes_between_cost_two_records_an_object(store: Store) -> None:
    """Only the first state and the last one are read, however often an object was written."""
    intents = Intents(store)
    for number in range(1, 31):
        await apply(intents, entry("a", port=number))
    await apply(intents, entry("b", port=1))
    history = History(store, Keys(KINDS))
    records = await history.ends(Wanted(since=5))
    assert [(each.revision, each.ref.name) for each in records] == [(32, "b"), (31, "a"), (5, "a")]
    assert brief(await intents.between(4, 31, ALL)) == {"a": (3, 30)}
