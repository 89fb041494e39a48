"""How problems are printed: a line each, but one sentence once."""

from api.commands.problems import sentences
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity

REF = ObjectRef("VirtualService", "default", "v")
WHY = "no DestinationRule defines the subset 'v9'"


def route(place: int, message: str = WHY, ref: ObjectRef = REF) -> Problem:
    path = f"spec.http[{place}].route[0].destination.subset"
    return Problem(Reason.BROKEN_REFERENCE, message, ref, path, "f.yaml", 10 + place, Severity.WARNING)


def test_one_sentence_of_many_places_is_said_once() -> None:
    """It stands at the first of them, counts the others and names some."""
    (line,) = sentences([route(place) for place in range(12)])
    assert line == (
        "warning: f.yaml:10: VirtualService default/v spec.http[0].route[0].destination.subset: no DestinationRule"
        " defines the subset 'v9'; so it is at 11 more fields: spec.http[1].route[0].destination.subset,"
        " spec.http[2].route[0].destination.subset, spec.http[3].route[0].destination.subset and 8 more (BrokenReference)"
    )


def test_two_places_are_named() -> None:
    """One more field is one."""
    (line,) = sentences([route(0), route(4)])
    assert "; so it is at 1 more field: spec.http[4].route[0].destination.subset (" in line


def test_other_sentences_stay_apart() -> None:
    """Other words, other objects and other fields have lines of their own."""
    other = ObjectRef("VirtualService", "default", "w")
    mirror = Problem(Reason.BROKEN_REFERENCE, WHY, REF, "spec.http[0].mirror.subset")
    found = [route(0), route(1, "other"), route(2, ref=other), mirror]
    assert len(sentences(found)) == 4
    alone = Problem(Reason.REJECTED_BY_PROXY, "gw.default says: no")
    assert sentences([alone, alone]) == [f"{alone.message} (RejectedByProxy)"]
