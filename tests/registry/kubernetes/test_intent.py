"""Custom resources of a cluster, read as objects of intent; and what their status is told."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from xdsd.compile.admissible import admissible
from xdsd.model.intent import KINDS
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.model.singletons import misplaced
from xdsd.registry.base import AnyObject
from xdsd.registry.kubernetes.api import Api, Refused
from xdsd.registry.kubernetes.collection import IntentCollection
from xdsd.registry.kubernetes.facts import Name, Remark
from xdsd.registry.kubernetes.intent import IntentState
from xdsd.registry.kubernetes.statuses import wanted_status
from xdsd.registry.kubernetes.telling import StatusTeller

EAST = "kubernetes:east"
SAMPLES = Path(__file__).parents[2] / "manifest" / "data" / "full"
RULE = KINDS["DestinationRule"]
REF = ObjectRef("DestinationRule", "shop", "a")
NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def rule(name: str = "a", host: Any = "a", **more: Any) -> dict[str, Any]:
    """A DestinationRule as an API server sends it."""
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "generation": 1,
            "resourceVersion": "17",
            "uid": "u",
            "creationTimestamp": NOW,
            "finalizers": ["example.com/hold"],
            "ownerReferences": [{"kind": "Chart"}],
            "managedFields": [{"manager": "kubectl"}],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "a/b": "c"},
        },
        "spec": {"host": host},
        **more,
    }


def state() -> IntentState:
    return IntentState(EAST, [admissible, lambda obj: misplaced(obj, "istio-system")])


def problems(of: IntentState) -> list[Problem]:
    return [problem for group in of.take_problems().values() for problem in group]


def test_what_servers_and_owners_write_is_no_matter_of_intent() -> None:
    """An object is taken with its labels, notes and age, whatever else its envelope holds."""
    east = state()
    east.put(RULE, "v1", rule())
    change = east.take()
    assert change is not None
    (found,) = change.upserts
    assert (found.ref, found.metadata.creation_timestamp) == (REF, NOW)
    assert found.metadata.annotations == {"a/b": "c"}
    assert found.metadata.resource_version == ""
    assert problems(east) == []


def test_each_version_that_the_api_has_reads_as_the_same_object() -> None:
    """A cluster may serve v1alpha3 alone."""
    east = state()
    east.put(RULE, "v1alpha3", rule(apiVersion="networking.istio.io/v1alpha3"))
    change = east.take()
    assert change is not None
    assert change.upserts[0].api_version == "networking.istio.io/v1"
    assert east.seen[REF].version == "v1alpha3"


def test_a_status_or_a_revision_that_changes_is_no_change() -> None:
    """What is written back to an object does not come round as intent."""
    east = state()
    east.put(RULE, "v1", rule())
    east.take()
    again = rule(status={"conditions": [{"type": "Accepted"}]})
    again["metadata"]["resourceVersion"] = "18"
    east.put(RULE, "v1", again)
    assert east.take() is None
    assert east.seen[REF].status == {"conditions": [{"type": "Accepted"}]}


def test_an_invalid_object_is_a_problem_of_the_cluster_and_stays_as_it_was() -> None:
    """The fields that are wrong are named; the others of its kind are served, and once it is mended nothing is left."""
    east = state()
    east.put(RULE, "v1", rule())
    east.put(RULE, "v1", rule("b"))
    east.take()
    east.put(RULE, "v1", rule(host=7))
    assert east.take() is None
    (problem,) = problems(east)
    assert (problem.file, problem.object, problem.path) == (EAST, REF, "spec.host")
    east.put(RULE, "v1", rule(spec={"host": "a", "hosts": ["b"]}))
    (problem,) = problems(east)
    assert (problem.reason, problem.path) == (Reason.UNKNOWN_FIELD, "spec.hosts")
    east.put(RULE, "v1", rule(host="c"))
    change = east.take()
    assert change is not None
    assert [each.spec.host for each in change.upserts] == ["c"]
    assert list(east.take_problems().values()) == [()]


def test_what_only_the_compiler_can_tell_refuses_here_too() -> None:
    """An object that would be refused where it is applied to the store is refused from a cluster, a remark is made too."""
    east = state()
    route = {"route": [{"destination": {"host": "a"}}], "fault": {"delay": {"fixedDelay": "1s"}}}
    spec = {"hosts": ["a"], "http": [route]}
    east.put(KINDS["VirtualService"], "v1", rule(kind="VirtualService", spec=spec))
    assert east.take() is not None
    assert [(problem.file, problem.severity) for problem in problems(east)] == [(EAST, Severity.WARNING)]
    east.put(KINDS["MeshConfig"], "v1", rule("default", kind="MeshConfig", spec={}))
    assert east.take() is None
    assert [(problem.file, problem.severity) for problem in problems(east)] == [(EAST, Severity.ERROR)]


def test_a_policy_without_a_spec_is_one() -> None:
    """A cluster leaves out a spec that says nothing."""
    east = state()
    kind = KINDS["AuthorizationPolicy"]
    obj = {"kind": "AuthorizationPolicy", "metadata": {"name": "deny", "namespace": "shop"}}
    east.put(kind, "v1", obj)
    change = east.take()
    assert change is not None
    assert [each.ref.name for each in change.upserts] == ["deny"]


@pytest.mark.parametrize("kind", ["WorkloadGroup", "Peer", "Residency", "Inspection"])
def test_what_is_for_who_operates_the_mesh_has_no_effect_in_a_cluster(kind: str) -> None:
    """Groups that machines register with, whom the mesh trusts, where services may be, and whose TLS is read: it is told."""
    east = state()
    samples = [
        each for path in sorted(SAMPLES.glob("*.yaml")) for each in yaml.safe_load_all(path.read_text())
    ]
    made = next(each for each in samples if each["kind"] == kind)
    east.put(KINDS[kind], KINDS[kind].versions[0], made)
    assert east.take() is None
    (problem,) = problems(east)
    assert problem.reason is Reason.NOT_SUPPORTED
    assert "has no effect in a cluster" in problem.message


@pytest.mark.parametrize(("verbs", "end"), [(["list", "watch"], ""), (["patch"], "/status")])
def test_the_manifest_of_rights_has_every_kind(verbs: Sequence[str], end: str) -> None:
    """Each is read, and its status written; nothing else is allowed."""
    manifest = Path(__file__).parents[3] / "deploy" / "kubernetes" / "rbac-intent.yaml"
    role = next(yaml.safe_load_all(manifest.read_text()))
    given = {
        resource for rule in role["rules"] for resource in rule["resources"] if rule["verbs"] == list(verbs)
    }
    assert given == {f"{kind.plural}{end}" for kind in KINDS.values()}


@pytest.mark.parametrize("kind", ["AuthorizationPolicy", "WorkloadGroup"])
def test_what_has_no_effect_need_not_be_known(kind: str) -> None:
    """A right that is missing to a kind without effect holds nothing back."""
    assert IntentCollection(KINDS[kind]).needed == (kind == "AuthorizationPolicy")


def test_an_object_without_a_name_and_one_too_large_are_told() -> None:
    """What cannot be read at all hurts nothing else."""
    east = state()
    east.put(RULE, "v1", {"metadata": {}})
    east.spoil(RULE, Name("shop", "b"), Remark("", "is large", Reason.TOO_LARGE))
    assert {problem.reason for problem in problems(east)} == {Reason.MISSING_FIELD, Reason.TOO_LARGE}
    assert east.names(RULE) == frozenset()


STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", 7, None]), st.booleans()), max_size=30
)


@given(STEPS)
def test_changes_add_up_to_the_last_valid_word_of_each_object(steps: Sequence[tuple[str, Any, bool]]) -> None:
    """However objects come, go and are broken, and whenever it is asked."""
    east = state()
    told: dict[ObjectRef, AnyObject] = {}
    expected: dict[str, str] = {}
    broken: dict[str, bool] = {}
    said: dict[str, tuple[Problem, ...]] = {}
    for name, host, ask in steps:
        if host is None:
            east.drop(RULE, Name("shop", name))
            expected.pop(name, None)
            broken.pop(name, None)
        else:
            east.put(RULE, "v1", rule(name, host))
            broken[name] = host == 7
            if host != 7:
                expected[name] = host
        if ask or (name, host, ask) == steps[-1]:
            change = east.take()
            if change is not None:
                for ref in change.removed:
                    told.pop(ref, None)
                told.update((obj.ref, obj) for obj in change.upserts)
            said.update(east.take_problems())
    change = east.take()
    if change is not None:
        for ref in change.removed:
            told.pop(ref, None)
        told.update((obj.ref, obj) for obj in change.upserts)
    said.update(east.take_problems())
    assert {ref.name: obj.spec.host for ref, obj in told.items()} == expected
    assert sum(map(len, said.values())) == sum(broken.values())


# What is written back.

ODD = Problem(
    Reason.BROKEN_REFERENCE, "nothing declares the host a", REF, "spec.host", EAST, severity=Severity.WARNING
)
BAD = Problem(Reason.CONFLICT, "has no effect", REF, file=EAST)


def test_an_object_that_is_well_is_accepted() -> None:
    """One condition of ours says so, with the generation that was looked at."""
    found = wanted_status({}, (), 3, NOW)
    assert found == {
        "conditions": [
            {
                "type": "Accepted",
                "status": "True",
                "reason": "Accepted",
                "message": "",
                "observedGeneration": 3,
                "lastTransitionTime": NOW,
            }
        ],
        "validationMessages": [],
    }
    assert wanted_status(found, (), 3, LATER) is None


def test_conditions_of_other_programs_stay_and_the_time_is_that_of_the_turn() -> None:
    """A warning leaves an object accepted; an error does not."""
    theirs = {"type": "Reconciled", "status": "True"}
    first = wanted_status({"conditions": [theirs]}, (ODD,), 1, NOW)
    assert first is not None
    assert first["conditions"][0] == theirs
    assert first["validationMessages"][0]["level"] == "WARNING"
    second = wanted_status(first, (ODD,), 2, LATER)
    assert second is not None
    assert second["conditions"][1]["lastTransitionTime"] == NOW
    third = wanted_status(second, (ODD, BAD), 2, LATER)
    assert third is not None
    own = third["conditions"][1]
    assert (own["status"], own["reason"], own["message"]) == ("False", "Conflict", "has no effect")
    assert own["lastTransitionTime"] == LATER
    assert [each["level"] for each in third["validationMessages"]] == ["ERROR", "WARNING"]


PROBLEMS = st.lists(st.sampled_from([ODD, BAD, Problem(Reason.TOO_LARGE, "x" * 3000, REF)]), max_size=40)
CURRENT = st.fixed_dictionaries(
    {},
    optional={
        "conditions": st.just("odd")
        | st.lists(st.sampled_from([{"type": "Accepted"}, {"type": "Other", "status": "x"}, 3])),
        "validationMessages": st.none() | st.just([]) | st.just(7),
    },
)


@given(PROBLEMS, CURRENT, st.integers(0, 3))
def test_what_was_written_is_never_written_again(
    told: list[Problem], current: dict[str, Any], generation: int
) -> None:
    """Whatever stood there, in whatever order problems are told, and however late it is."""
    first = wanted_status(current, told, generation, NOW)
    merged = {**current, **(first or {})}
    assert wanted_status(merged, told[::-1], generation, LATER) is None


class Server(Api):
    """Keeps what is merged into objects, and refuses as it is told."""

    def __init__(self) -> None:
        self.written: list[tuple[str, Mapping[str, Any]]] = []
        self.refusal: Refused | None = None

    async def patch(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.refusal is not None:
            raise self.refusal
        self.written.append((path, body))
        return body


async def test_a_status_is_written_once_whoever_writes_over_it() -> None:
    """Only what is to be said, or the object, makes it be written again."""
    server, east, warned = Server(), state(), dict[str, str]()
    teller = StatusTeller(server, east, warned.__setitem__)
    east.put(RULE, "v1beta1", rule())
    assert await teller.look({}) == 1
    assert server.written[0][0] == (
        "/apis/networking.istio.io/v1beta1/namespaces/shop/destinationrules/a/status"
    )
    east.put(RULE, "v1beta1", rule(status={"conditions": []}))
    assert await teller.look({}) == 0
    assert await teller.look({REF: (BAD,)}) == 1
    east.drop(RULE, Name("shop", "a"))
    east.put(RULE, "v1beta1", rule())
    assert await teller.look({}) == 1
    assert not any(warned.values())


async def test_a_right_to_write_that_is_missing_is_told_once_and_nothing_is_hurt() -> None:
    """A kind whose status may not be written is left alone for a while."""
    server, east, warned = Server(), state(), dict[str, str]()
    teller = StatusTeller(server, east, warned.__setitem__)
    for name in "abc":
        east.put(RULE, "v1", rule(name))
    server.refusal = Refused(403, "is forbidden")
    assert await teller.look({}) == 0
    assert warned == {
        "status of DestinationRule": "the status of destinationrules is not written: is forbidden (403)"
    }
    server.refusal = None
    assert await teller.look({}) == 0
