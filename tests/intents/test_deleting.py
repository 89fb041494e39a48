"""Deleting removes objects, all or none."""

from storage.base import Store
from tests.intents.objects import NOW, apply, entry, refs, route, rule, texts
from xdsd.intents import Intents, Verdict
from xdsd.model.problem import ObjectRef, Severity


async def test_deleted_objects_are_one_revision(intents: Intents) -> None:
    """Objects that are deleted together are gone in one revision; each outcome holds the object as it was."""
    await apply(intents, entry("a"), entry("b"), entry("c"))
    before = (await intents.list()).objects
    deleted = await intents.delete([entry("c").ref, entry("a").ref], now=NOW)
    assert (deleted.accepted, deleted.revision, deleted.missing) == (True, 3, ())
    assert [(outcome.verdict, outcome.object) for outcome in deleted.outcomes] == [
        (Verdict.DELETED, before[2]),
        (Verdict.DELETED, before[0]),
    ]
    assert refs((await intents.list()).objects) == [entry("b").ref]


async def test_missing_object_refuses_all(store: Store, intents: Intents) -> None:
    """If one of the objects is not there nothing is deleted, unless that is to be ignored."""
    await apply(intents, entry("a"))
    wanted = [entry("a").ref, entry("b").ref, ObjectRef("Pod", "default", "c")]
    refused = await intents.delete(wanted, now=NOW)
    assert (refused.accepted, refused.missing, refused.outcomes) == (False, tuple(wanted[1:]), ())
    assert await store.revision() == 2
    ignored = await intents.delete(wanted, now=NOW, ignore_missing=True)
    assert (ignored.accepted, ignored.missing) == (True, tuple(wanted[1:]))
    assert (await intents.list()).objects == ()


async def test_dry_run_deletes_nothing(store: Store, intents: Intents) -> None:
    """A dry run says what would be deleted."""
    await apply(intents, entry("a"))
    deleted = await intents.delete([entry("a").ref], now=NOW, dry_run=True)
    assert (deleted.accepted, len(deleted.outcomes)) == (True, 1)
    assert await store.revision() == 2


async def test_what_is_left_behind_is_told(intents: Intents) -> None:
    """Warnings name what the objects that stay now lack, not what they lacked before."""
    await apply(intents, route("a", subset="v9"), route("b", subset="v1"), rule("b", "v1"))
    deleted = await intents.delete([rule("b").ref], now=NOW)
    message = (
        "no DestinationRule of b.default.svc.cluster.local defines the subset 'v1', so nothing arrives there: "
        "requests are answered with 503, connections are closed"
    )
    path = "spec.http[0].route[0].destination.subset"
    assert texts(deleted.problems) == [f"VirtualService default/b {path}: {message}"]
    assert deleted.problems[0].severity is Severity.WARNING


async def test_unreadable_object_can_be_deleted(store: Store, intents: Intents) -> None:
    """A stored value that is no object can be deleted as the object whose key it has."""
    await store.put(b"/xdsd/objects/serviceentries.networking.istio.io/default/a", b"nonsense")
    deleted = await intents.delete([entry("a").ref], now=NOW)
    assert [(outcome.ref, outcome.object) for outcome in deleted.outcomes] == [(entry("a").ref, None)]
    assert await store.get(b"/xdsd/objects/serviceentries.networking.istio.io/default/a") is None
