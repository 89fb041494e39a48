"""Who sees services."""

import pytest

from xdsd.model.exporting import audience, rivals, unseen


def test_an_audience_is_named_or_everybody() -> None:
    """Without names it is everybody; ``~`` is nobody."""
    assert audience((), "a") == {"*"}
    assert audience((".", "b"), "a") == {"a", "b"}
    assert audience(("~",), "a") == frozenset()


@pytest.mark.parametrize(
    ("exports", "edge", "told"),
    [
        ((".",), False, "is declared in namespace team and not exported to namespace default"),
        (("~",), False, "is declared in namespace team and not exported to namespace default"),
        (("other",), False, "is declared in namespace team and not exported to namespace default"),
        (("default",), False, ""),
        (("*",), False, ""),
        ((), False, ""),
        ((".",), True, "is declared in namespace team and not exported to namespace default"),
        (("other",), True, ""),
    ],
)
def test_clients_of_a_namespace_see_what_is_exported_to_it(
    exports: tuple[str, ...], edge: bool, told: str
) -> None:
    """Proxies of gateways are of namespaces that nobody declares, so what is exported at all may be for them."""
    assert unseen([("team", exports)], {"default"}, edge) == told


def test_one_of_several_services_is_enough() -> None:
    """All that declare the host are named where none is seen; a host that nobody declares is another matter."""
    assert unseen([("team", (".",)), ("default", (".",))], {"default"}) == ""
    assert unseen([("b", (".",)), ("a", (".",))], {"y", "x"}) == (
        "is declared in namespaces a, b and not exported to namespaces x, y"
    )
    assert unseen([], {"default"}) == ""
    assert unseen([("a", (".",))], ()) == ""


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        (("*",), ("*",), True),
        (("*",), (".",), False),
        (("*",), ("c",), True),
        (("c", "d"), ("d",), True),
        (("b",), ("*",), False),
        (("~",), ("*",), False),
    ],
)
def test_rivals_are_seen_together_by_a_third(
    one: tuple[str, ...], other: tuple[str, ...], meet: bool
) -> None:
    """Namespaces that declare a host themselves see their own."""
    assert rivals(("a", one), ("b", other)) is meet
    assert rivals(("b", other), ("a", one)) is meet
