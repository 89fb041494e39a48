"""Which rules are about a descriptor."""

from hypothesis import given
from hypothesis import strategies as st

from xdsd.model.limits import LimitRule
from xdsd.ratelimit.rules import RuleTable


def rule(*entries: tuple[str, tuple[str, ...]], domain: str = "d", name: str = "r") -> LimitRule:
    return LimitRule(domain, entries, 1, 60, name)


def test_an_entry_without_values_is_about_all() -> None:
    """Only the keys, their order and their number count."""
    table = RuleTable([rule(("a", ()), ("b", ()))])
    assert len(list(table.matching("d", [("a", "1"), ("b", "2")]))) == 1
    for other in ([("a", "1")], [("b", "1"), ("a", "2")], [("a", "1"), ("b", "2"), ("c", "3")], []):
        assert list(table.matching("d", other)) == []


def test_an_entry_with_values_is_about_these() -> None:
    """One of them, wherever the entry stands."""
    table = RuleTable([rule(("a", ("1", "2")), ("b", ("x",)))])
    found = {(a, b): bool(list(table.matching("d", [("a", a), ("b", b)]))) for a in "123" for b in "xy"}
    assert [key for key, there in found.items() if there] == [("1", "x"), ("2", "x")]


def test_domains_are_apart() -> None:
    """A rule is found in its own."""
    table = RuleTable([rule(("a", ())), rule(("a", ()), domain="e")])
    assert [each.domain for each in table.matching("e", [("a", "1")])] == ["e"]
    assert list(table.matching("f", [("a", "1")])) == []


_VALUES = st.sampled_from(["1", "2", "3"])
_ENTRIES = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.lists(_VALUES, max_size=2, unique=True).map(tuple)),
    min_size=1,
    max_size=3,
)


@given(st.lists(_ENTRIES, max_size=8), st.lists(st.tuples(st.sampled_from(["a", "b"]), _VALUES), max_size=3))
def test_every_rule_that_fits_is_found(
    patterns: list[list[tuple[str, tuple[str, ...]]]], asked: list[tuple[str, str]]
) -> None:
    """As if all rules were looked at one by one."""
    rules = [rule(*entries, name=str(index)) for index, entries in enumerate(patterns)]
    fitting = {
        each.name
        for each in rules
        if len(each.entries) == len(asked)
        and all(
            key == wanted and (not values or value in values)
            for (wanted, values), (key, value) in zip(each.entries, asked, strict=True)
        )
    }
    found = [each.name for each in RuleTable(rules).matching("d", asked)]
    assert sorted(found) == sorted(fitting)
