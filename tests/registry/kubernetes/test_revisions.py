"""Revisions grow in one life of a cluster."""

from typing import Any

import pytest

from xdsd.registry.kubernetes.facts import Name
from xdsd.registry.kubernetes.revisions import Revisions

A = Name("default", "a")


def obj(revision: object) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": revision}}


@pytest.mark.parametrize(
    ("listed", "older"), [("9", True), ("10", False), ("100", False), ("", False), ("x", False)]
)
def test_a_list_is_older_than_what_was_seen(listed: str, older: bool) -> None:
    """By number, not as text; what is no number tells nothing."""
    seen = Revisions()
    assert not seen.is_older(listed)
    seen.see("10")
    seen.see("4")
    assert seen.is_older(listed) is older


@pytest.mark.parametrize(
    ("revision", "older"), [("9", True), ("10", False), ("11", False), (None, False), (9, False)]
)
def test_an_object_is_older_than_it_was_seen(revision: object, older: bool) -> None:
    """Others of its collection do not matter, nor does one that was deleted."""
    seen = Revisions()
    seen.see_object(A, obj("10"))
    seen.see_object(Name("default", "b"), obj("90"))
    assert seen.is_older_object(A, obj(revision)) is older
    assert not seen.is_older_object(Name("default", "c"), obj(revision))
    seen.drop(A)
    assert not seen.is_older_object(A, obj(revision))
