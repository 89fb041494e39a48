"""The rules of interest, as pure functions."""

from hypothesis import given
from hypothesis import strategies as st

from xdsd.protocol.subscription import (
    Interest,
    delta_first,
    delta_next,
    sotw_first,
    sotw_next,
)

NONE: frozenset[str] = frozenset()
names = st.frozensets(st.sampled_from(["", "*", "a", "b", "c"]))


def test_b25_silence_is_a_wildcard_in_both_dialects() -> None:
    """An empty first request means everything, and says so without naming it."""
    assert delta_first(NONE, NONE).interest == Interest(wildcard=True, unnamed=True)
    assert sotw_first(NONE).interest == Interest(wildcard=True, unnamed=True)


def test_b28_no_names_later_is_nothing() -> None:
    """Except for a SotW client that never named anything."""
    interest = sotw_first(frozenset("a")).interest
    assert sotw_next(interest, NONE).interest.nothing
    assert sotw_next(sotw_first(NONE).interest, NONE).interest.wildcard
    assert delta_next(delta_first(frozenset("a"), NONE).interest, NONE, frozenset("a")).interest.nothing


@given(names, st.lists(st.tuples(names, names), max_size=5))
def test_delta_interest_is_what_was_asked_for_and_not_given_up(
    first: frozenset[str], turns: list[tuple[frozenset[str], frozenset[str]]]
) -> None:
    """Compared with the plainest bookkeeping; every name that is subscribed is answered."""
    turn = delta_first(first, NONE)
    wanted = set(first) or {"*"}
    for subscribe, unsubscribe in turns:
        turn = delta_next(turn.interest, subscribe, unsubscribe)
        wanted = (wanted - unsubscribe) | subscribe
        assert subscribe - {"*"} <= turn.answer
        assert turn.wildcard_began == ("*" in subscribe)
        assert turn.interest.wildcard == ("*" in wanted)
        assert turn.interest.names == wanted - {"*"}


@given(names, st.lists(names, max_size=5))
def test_sotw_interest_is_the_last_list(first: frozenset[str], turns: list[frozenset[str]]) -> None:
    """Compared with the plainest bookkeeping; every name that joins is answered."""
    turn = sotw_first(first)
    named = bool(first)
    for listed in turns:
        before = turn.interest
        turn = sotw_next(before, listed)
        named = named or bool(listed)
        assert turn.interest.wildcard == ("*" in listed or not named)
        assert turn.interest.names == listed - {"*"}
        assert turn.answer == turn.interest.names - before.names
