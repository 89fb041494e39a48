"""Applying makes objects so, all or none."""

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence

import pytest

from storage.base import Store
from tests.intents.objects import LATER, NOW, apply, entry, made, parse, refs, route, rule, texts
from xdsd.intents import Intents, Record, Undecodable, Verdict
from xdsd.manifest import AnyObject
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity

REVIEWS = ObjectRef("ServiceEntry", "default", "reviews")
KEY = b"/xdsd/objects/serviceentries.networking.istio.io/default/reviews"


async def test_created_object(intents: Intents) -> None:
    """A new object is created in generation 1, now, and its resource version is the revision that wrote it."""
    applied = await apply(intents, entry())
    (outcome,) = applied.outcomes
    assert (outcome.ref, outcome.verdict, outcome.before) == (REVIEWS, Verdict.CREATED, None)
    assert outcome.object is not None
    metadata = outcome.object.metadata
    assert (metadata.resource_version, metadata.generation, metadata.creation_timestamp) == ("2", 1, NOW)
    assert applied.revision == 2
    assert await intents.get(REVIEWS) == outcome.object


async def test_stored_form(store: Store, intents: Intents) -> None:
    """An object is stored under its plural, group, namespace and name, as sorted, compact JSON of the preferred version."""
    await apply(
        intents,
        *parse("""
        apiVersion: networking.istio.io/v1alpha3
        kind: ServiceEntry
        metadata: {name: reviews, labels: {team: blue}}
        spec:
          ports: [{number: 80, name: http, protocol: HTTP}]
          hosts: [reviews.example.com]
    """),
    )
    kv = await store.get(KEY)
    assert kv is not None
    assert kv.value.decode() == (
        '{"apiVersion":"networking.istio.io/v1","kind":"ServiceEntry","metadata":{"creationTimestamp":'
        '"2026-01-31T12:00:00Z","generation":1,"labels":{"team":"blue"},"name":"reviews","namespace":"default"},'
        '"spec":{"hosts":["reviews.example.com"],"ports":[{"name":"http","number":80,"protocol":"HTTP"}]}}'
    )


async def test_unchanged_object_is_not_written(store: Store, intents: Intents) -> None:
    """Applying what is there already, in any served version, writes nothing and says so."""
    first = await apply(intents, entry())
    again = await apply(intents, entry(), now=LATER)
    assert again.outcomes[0].verdict is Verdict.UNCHANGED
    assert again.outcomes[0].object == first.outcomes[0].object
    assert await store.revision() == 2


async def test_changed_spec_is_a_new_generation(intents: Intents) -> None:
    """A changed spec is configured, in the next generation, and keeps the time and uid of its creation."""
    first = (await apply(intents, entry())).outcomes[0].object
    (outcome,) = (await apply(intents, entry(port=80), now=LATER)).outcomes
    assert outcome.verdict is Verdict.CONFIGURED
    assert outcome.before == first
    assert outcome.object is not None
    assert first is not None
    metadata = outcome.object.metadata
    assert (metadata.generation, metadata.resource_version, metadata.creation_timestamp) == (2, "3", NOW)
    assert metadata.uid == first.metadata.uid
    assert await intents.get(REVIEWS) == outcome.object


async def test_changed_labels_are_no_new_generation(intents: Intents) -> None:
    """Changed labels or annotations are configured in the same generation."""
    await apply(intents, entry())
    labelled = (await apply(intents, entry(labels={"team": "blue"}))).outcomes[0]
    noted = (await apply(intents, entry(labels={"team": "blue"}, annotations={"by": "me"}))).outcomes[0]
    assert labelled.verdict is noted.verdict is Verdict.CONFIGURED
    assert noted.object is not None
    assert (noted.object.metadata.generation, noted.object.metadata.resource_version) == (1, "4")


async def test_objects_of_one_apply_are_one_revision(intents: Intents) -> None:
    """Everything that is applied together becomes so in one revision, in the order of the request."""
    await apply(intents, entry("a"))
    applied = await apply(intents, entry("c"), entry("a"), entry("b"))
    assert [outcome.verdict for outcome in applied.outcomes] == ["created", "unchanged", "created"]
    assert [outcome.object and outcome.object.metadata.resource_version for outcome in applied.outcomes] == [
        "3",
        "2",
        "3",
    ]
    listing = await intents.list()
    assert (refs(listing.objects), listing.revision) == (
        [obj.ref for obj in (entry("a"), entry("b"), entry("c"))],
        3,
    )


async def test_recreated_object_is_another(intents: Intents) -> None:
    """An object that was deleted and is created again has another uid and generation 1."""
    first = (await apply(intents, entry())).outcomes[0].object
    await intents.delete([REVIEWS], now=NOW)
    second = (await apply(intents, entry(port=80))).outcomes[0].object
    assert first is not None
    assert second is not None
    assert second.metadata.generation == 1
    assert second.metadata.uid != first.metadata.uid


async def test_output_applies_as_it_is(intents: Intents) -> None:
    """What was read can be applied again, server's metadata and all, and is unchanged."""
    await apply(intents, entry())
    kept = await intents.get(REVIEWS)
    assert kept is not None
    assert (await apply(intents, kept)).outcomes[0].verdict is Verdict.UNCHANGED


async def test_outdated_resource_version_is_a_conflict(store: Store, intents: Intents) -> None:
    """An object that names a resource version which is not the newest is refused, and with it all others."""
    await apply(intents, entry())
    kept = await intents.get(REVIEWS)
    assert kept is not None
    await apply(intents, entry(port=80))
    applied = await intents.apply([entry("other"), kept], now=NOW)
    assert not applied.accepted
    assert applied.outcomes == ()
    (problem,) = applied.problems
    assert (problem.reason, problem.object) == (Reason.CONFLICT, REVIEWS)
    assert problem.path == "metadata.resourceVersion"
    assert problem.message.startswith("'2' is out of date: the object is at 3;")
    assert await store.revision() == 3


async def test_resource_version_of_what_is_not_there_is_a_conflict(intents: Intents) -> None:
    """A resource version of an object that does not exist is a conflict."""
    applied = await intents.apply([entry(resourceVersion="7")], now=NOW)
    assert [problem.reason for problem in applied.problems] == [Reason.CONFLICT]


async def test_current_resource_version_is_taken(intents: Intents) -> None:
    """An object that names the newest resource version is applied."""
    await apply(intents, entry())
    assert (await apply(intents, entry(port=80, resourceVersion="2"))).outcomes[
        0
    ].verdict is Verdict.CONFIGURED


async def test_dry_run_writes_nothing(store: Store, intents: Intents) -> None:
    """A dry run says what would be, with warnings and refusals, and writes nothing."""
    await apply(intents, entry())
    dry = await intents.apply([entry(port=80), route("reviews", subset="v9")], now=LATER, dry_run=True)
    assert dry.accepted
    assert [outcome.verdict for outcome in dry.outcomes] == ["configured", "created"]
    assert dry.outcomes[0].object is not None
    assert dry.outcomes[0].object.metadata.generation == 2
    assert [problem.severity for problem in dry.problems] == [Severity.WARNING]
    twice = await intents.apply([entry(), entry()], now=LATER, dry_run=True)
    assert not twice.accepted
    assert await store.revision() == 2


async def test_duplicate_objects_are_refused(store: Store, intents: Intents) -> None:
    """The same object twice in one request refuses the request."""
    applied = await intents.apply([entry(), route("reviews"), entry(port=80)], now=NOW)
    assert not applied.accepted
    assert texts(applied.problems) == [
        "ServiceEntry default/reviews: is the 3. object and the 1. object of this request; keep one of them"
    ]
    assert applied.problems[0].reason is Reason.DUPLICATE_OBJECT
    assert await store.revision() == 1


async def test_large_object_is_refused(intents: Intents) -> None:
    """An object of more than a mebibyte is refused by its size; others are not written either."""
    padded = [f"{number:05}.{'x' * 60}.{'y' * 60}.example.com" for number in range(250)]
    rules = [{"route": [{"destination": {"host": "a"}}], "name": name * 35} for name in padded]
    large = made("VirtualService", "large", {"hosts": ["a"], "http": rules})
    applied = await intents.apply([entry(), large], now=NOW)
    assert not applied.accepted
    assert [(problem.reason, problem.object) for problem in applied.problems] == [
        (Reason.TOO_LARGE, large.ref)
    ]
    assert (await intents.list()).objects == ()


async def test_rules_refuse_and_warn(store: Store) -> None:
    """A rule's errors refuse the request, all of them at once; its warnings are told with what is applied."""

    def judge(obj: AnyObject) -> Iterator[Problem]:
        if obj.metadata.name.startswith("bad"):
            yield Problem(Reason.INVALID_VALUE, "is bad", obj.ref, "spec")
        yield Problem(Reason.CONFLICT, "is odd", obj.ref, severity=Severity.WARNING)

    intents = Intents(store, rules=[judge])
    refused = await intents.apply([entry("bad1"), entry("good"), entry("bad2")], now=NOW)
    assert not refused.accepted
    assert texts(refused.problems) == [
        "ServiceEntry default/bad1 spec: is bad",
        "ServiceEntry default/bad2 spec: is bad",
    ]
    assert texts((await apply(intents, entry("good"))).problems) == ["ServiceEntry default/good: is odd"]


@pytest.mark.parametrize(("rules", "aside"), [(1, False), (2000, True)])
async def test_one_large_object_is_work_for_a_thread(store: Store, rules: int, *, aside: bool) -> None:
    """The event loop waits for nobody's two thousand rules: not while they are judged, nor while they are recorded."""
    seen: list[bool] = []

    def judge(_: AnyObject) -> Iterator[Problem]:
        seen.append(threading.current_thread() is not threading.main_thread())
        return iter(())

    def audit(_: Sequence[Record]) -> None:
        seen.append(threading.current_thread() is not threading.main_thread())

    many = [{"route": [{"destination": {"host": "shop"}}]}] * rules
    intents = Intents(store, rules=[judge], audit=audit)
    await apply(intents, made("VirtualService", "shop", {"hosts": ["shop"], "http": many}))
    assert seen == [aside, aside]


async def test_unknown_kind_is_refused(store: Store) -> None:
    """An object of a kind that is not kept here is refused."""
    intents = Intents(store, kinds={})
    applied = await intents.apply([entry()], now=NOW)
    assert [problem.reason for problem in applied.problems] == [Reason.UNKNOWN_KIND]


async def test_nothing_to_apply(intents: Intents) -> None:
    """Applying nothing is accepted and changes nothing."""
    applied = await intents.apply([], now=NOW)
    assert (applied.accepted, applied.revision, applied.outcomes) == (True, 1, ())


async def test_racing_writers_are_all_heard(store: Store) -> None:
    """Writers that race for the same objects are served one after the other, each as one revision."""
    writers = [Intents(store) for _ in range(8)]

    async def write(number: int) -> None:
        label = {"writer": str(number)}
        await apply(
            writers[number],
            entry("a", port=1000 + number, labels=label),
            entry("b", port=1000 + number, labels=label),
        )

    await asyncio.gather(*(write(number) for number in range(8)))
    listing = await writers[0].list()
    a, b = listing.objects
    assert a.metadata.generation == b.metadata.generation == 8
    assert a.metadata.labels == b.metadata.labels
    assert listing.revision == 9


async def test_many_objects_at_once(intents: Intents) -> None:
    """Hundreds of objects are applied as one revision, and listed by kind and namespace."""
    entries = [entry(f"s{number:03}", namespace=f"n{number % 3}") for number in range(300)]
    rules = [rule(f"s{number:03}", "v1", namespace=f"n{number % 3}") for number in range(300)]
    await apply(intents, *entries, *rules)
    assert len((await intents.list()).objects) == 600
    assert refs((await intents.list("ServiceEntry")).objects) == sorted(refs(entries))
    assert len((await intents.list(namespace="n1")).objects) == 200
    found = (await intents.list("DestinationRule", "n2")).objects
    assert refs(found) == [obj.ref for obj in rules if obj.metadata.namespace == "n2"]


async def test_namespaces_do_not_run_into_each_other(intents: Intents) -> None:
    """A namespace whose name begins another's holds only its own objects."""
    await apply(intents, entry("a", namespace="blue"), entry("a", namespace="blue-green"))
    assert [obj.metadata.namespace for obj in (await intents.list("ServiceEntry", "blue")).objects] == [
        "blue"
    ]


async def test_absent_object(store: Store, intents: Intents) -> None:
    """An object that is not there, or whose name no object has, is None."""
    assert await intents.get(REVIEWS) is None
    await store.put(KEY + b"/more", b"x")
    assert await intents.get(REVIEWS._replace(name="reviews/more")) is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"\xff\xfe", "the stored value is no JSON"),
        (b"[" * 100_000, "the stored value is no JSON"),
        (b"[]", "is not an object"),
        (
            b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"reviews","namespace":"default"}}',
            "Kubernetes",
        ),
        (
            json.dumps(
                {
                    "kind": "ServiceEntry",
                    "apiVersion": "networking.istio.io/v1",
                    "metadata": {"name": "other", "namespace": "default"},
                    "spec": {"hosts": ["a.com"]},
                }
            ).encode(),
            "that of ServiceEntry default/other",
        ),
        (
            json.dumps(
                {
                    "kind": "ServiceEntry",
                    "apiVersion": "networking.istio.io/v1",
                    "metadata": {"name": "reviews", "namespace": "default"},
                    "spec": {"hosts": ["a.com"], "nonsense": 1},
                }
            ).encode(),
            "unknown field",
        ),
    ],
)
async def test_unreadable_value(store: Store, intents: Intents, value: bytes, message: str) -> None:
    """A stored value that is no object is told when it is asked for, left out of lists, and can be replaced."""
    await apply(intents, entry("other"))
    await store.put(KEY, value)
    with pytest.raises(Undecodable, match=message) as caught:
        await intents.get(REVIEWS)
    assert {problem.object for problem in caught.value.problems} == {REVIEWS}
    assert refs((await intents.list()).objects) == [ObjectRef("ServiceEntry", "default", "other")]
    (outcome,) = (await apply(intents, entry())).outcomes
    assert (outcome.verdict, outcome.before) == (Verdict.CONFIGURED, None)
    assert await intents.get(REVIEWS) == outcome.object
