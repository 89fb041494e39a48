"""Whose word holds where several sources declare one object."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from xdsd.manifest import parse_object
from xdsd.model.problem import ObjectRef, Reason
from xdsd.reconcile import STORE
from xdsd.reconcile.declared import Declared, Holding, Turn, declared_elsewhere
from xdsd.registry.base import AnyObject

EAST, WEST = "kubernetes:east", "kubernetes:west"
REF = ObjectRef("DestinationRule", "default", "a")


def rule(created: int = 0, host: str = "a", name: str = "a") -> AnyObject:
    made: Any = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": name, "creationTimestamp": f"2026-01-01T00:00:{created:02}Z"},
        "spec": {"host": host},
    }
    found = parse_object(made)
    assert not isinstance(found, list), found
    return found


def test_what_one_source_declares_holds() -> None:
    """An object comes, changes and goes with its source."""
    declared, first, second = Declared(), rule(), rule(host="b")
    assert declared.put(EAST, first) == Turn(REF, None, Holding(EAST, first))
    assert declared.put(EAST, second) == Turn(REF, Holding(EAST, first), Holding(EAST, second))
    assert declared.foreigner(REF) == Holding(EAST, second)
    assert declared.drop(EAST, REF) == Turn(REF, Holding(EAST, second), None)
    assert declared.drop(EAST, REF) is None
    assert not list(declared.foreign())


def test_the_store_holds_against_a_cluster_however_old() -> None:
    """What stands in a cluster too is a problem of the cluster, and holds once the store has it no more."""
    declared, theirs, ours = Declared(), rule(1), rule(2)
    declared.put(EAST, theirs)
    assert declared.put(STORE, ours) == Turn(REF, Holding(EAST, theirs), Holding(STORE, ours))
    (problem,) = declared.problems()
    assert (problem.reason, problem.object, problem.file) == (Reason.CONFLICT, REF, EAST)
    assert "the store" in problem.message
    assert "xdsctl" in problem.message
    assert declared.foreigner(REF) is None
    assert declared.put(EAST, rule(1, host="c")) is None
    turn = declared.drop(STORE, REF)
    assert turn is not None
    assert turn.after == Holding(EAST, rule(1, host="c"))
    assert not list(declared.problems())


def test_of_two_clusters_the_older_object_holds() -> None:
    """A cluster that joins takes nothing over; one whose object is made anew gives way."""
    declared, old, new = Declared(), rule(1), rule(2)
    declared.put(WEST, old)
    assert declared.put(EAST, new) is None
    (problem,) = declared.problems()
    assert problem.file == EAST
    assert WEST in problem.message
    turn = declared.put(WEST, rule(3))
    assert turn is not None
    assert turn.after == Holding(EAST, new)


STEPS = st.lists(
    st.tuples(
        st.sampled_from([STORE, EAST, WEST]),
        st.sampled_from(["a", "b"]),
        st.none() | st.tuples(st.integers(0, 2), st.sampled_from(["x", "y"])),
    ),
    max_size=30,
)


@given(STEPS)
def test_what_holds_depends_on_what_is_declared_and_not_on_how_it_came(
    steps: list[tuple[str, str, tuple[int, str] | None]],
) -> None:
    """Turns add up to the same as telling all that is there at the end, in any order; each loser is one problem."""
    declared = Declared()
    told: dict[ObjectRef, Holding] = {}
    there: dict[tuple[str, ObjectRef], AnyObject] = {}
    for source, name, what in steps:
        ref = REF._replace(name=name)
        if what is None:
            there.pop((source, ref), None)
            turn = declared.drop(source, ref)
        else:
            made = there[source, ref] = rule(what[0], what[1], name)
            turn = declared.put(source, made)
        if turn is not None:
            assert turn.before == told.get(turn.ref)
            told.pop(turn.ref, None)
            if turn.after is not None:
                told[turn.ref] = turn.after
    afresh = Declared()
    for (source, _), obj in sorted(there.items(), key=lambda each: each[0], reverse=True):
        afresh.put(source, obj)
    for ref in {ref for _, ref in there}:
        assert told[ref].source == afresh.source_of(ref) == declared.source_of(ref)
        assert told[ref].object == there[told[ref].source, ref]
    assert told.keys() == {ref for _, ref in there}
    assert len(list(declared.problems())) == len(there) - len(told)
    assert {each.object.ref for each in declared.foreign()} == {
        ref for ref, holding in told.items() if holding.source != STORE
    }


def test_an_object_of_another_source_is_not_written_to_the_store_unless_the_store_has_it() -> None:
    """The answer says where to change it; one that the store has beside it is the store's to change."""
    declared = Declared()
    declared.put(EAST, rule())
    (problem,) = declared_elsewhere(declared, rule(host="b"))
    assert (problem.reason, problem.object) == (Reason.CONFLICT, REF)
    assert "kubernetes:east" in problem.message
    assert "kubectl" in problem.message
    declared.put(STORE, rule())
    assert declared_elsewhere(declared, rule(host="b")) == []
