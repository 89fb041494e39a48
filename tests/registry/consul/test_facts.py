"""What is read of an answer again, and what is not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.registry.consul.entries import body, check, entry
from xdsd.registry.consul import ConsulOptions
from xdsd.registry.consul.answers import Malformed, Mistake
from xdsd.registry.consul.facts import Facts, read_facts, split

OPTIONS = ConsulOptions()
HOSTILE = '{"Node": {"Node": "n1"}}, {"Node":{'


def facts(answer: bytes, known: tuple[Facts, ...] = ()) -> tuple[Facts, ...]:
    """All of which are whole."""
    found = [each for _, each in read_facts(answer, OPTIONS, known)]
    assert all(isinstance(each, Facts) for each in found)
    return tuple(each for each in found if isinstance(each, Facts))


def test_only_an_entry_that_differs_is_read() -> None:
    """The others are the same values."""
    entries = [entry(f"web-{number}", Address=f"10.0.0.{number}") for number in range(1, 5)]
    before = facts(body(entries))
    entries[2]["Checks"] = [check("critical")]
    after = facts(body(entries), before)
    assert [new is old for old, new in zip(before, after, strict=True)] == [True, True, False, True]
    entries.insert(0, entry("web-0", Address="10.0.0.9"))
    moved = facts(body(entries), after)
    assert moved[1:] == after
    assert all(new is old for old, new in zip(after, moved[1:], strict=True))


@pytest.mark.parametrize("indent", [None, 4], ids=["compact", "pretty"])
def test_entries_are_told_apart_however_they_are_written(indent: int | None) -> None:
    """As agents write them, and as those do that are asked for something pretty."""
    entries = [entry(f"web-{number}") for number in range(3)]
    text = json.dumps(entries, indent=indent, separators=(",", ":") if indent is None else None)
    assert list(map(json.loads, split(text.encode()))) == entries


def test_what_looks_like_an_entry_in_a_text_is_none() -> None:
    """Neither in a value nor in a name."""
    entries = [entry("web-1", Meta={"note": HOSTILE}), entry("web-2", Meta={HOSTILE: "x"})]
    assert list(map(json.loads, split(body(entries)))) == entries


def test_what_has_an_entry_within_is_read_as_a_whole() -> None:
    """An object of somebody else's may look like one."""
    entries = [entry("web-1", Proxy={"Config": [{"Node": {"a": 1}}, {"Node": {}}]}), entry("web-2")]
    assert [each.key.id for each in facts(body(entries))] == ["web-1", "web-2"]


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda text: text[:-1],
        lambda text: text[1:],
        lambda text: text.replace(b"}, {", b"} {"),
        lambda text: text.replace(b"}, {", b"},, {"),
        lambda text: text[:-1] + b",]",
        lambda text: b"[1" + text[1:],
        lambda text: text + text,
        lambda text: text.replace(b'"web-2"', b'"web-2'),
    ],
)
def test_an_answer_that_is_no_list_is_refused_as_ever(spoilt: Any) -> None:
    """Whatever is known of its entries."""
    answer = body([entry("web-1"), entry("web-2")])
    wrong = spoilt(answer)
    assert wrong != answer
    with pytest.raises(Malformed):
        list(read_facts(wrong, OPTIONS, facts(answer)))


VALUES = st.recursive(
    st.none() | st.integers() | st.text() | st.just(HOSTILE),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["Node", "Service", "x", HOSTILE]), inner, max_size=3)
    ),
    max_leaves=8,
)
ENTRIES = st.lists(
    st.builds(lambda ident, value: entry(ident, Meta=None, Proxy=value), st.text(min_size=1), VALUES)
    | VALUES,
    max_size=4,
)


@given(before=ENTRIES, now=ENTRIES, pretty=st.booleans())
def test_what_is_known_changes_nothing_of_what_is_read(
    *, before: list[Any], now: list[Any], pretty: bool
) -> None:
    """Whatever stands in entries, and whatever stood in those of before."""
    indent = 2 if pretty else None
    known = [each for _, each in read_facts(json.dumps(before, indent=indent).encode(), OPTIONS)]
    text = json.dumps(now, indent=indent).encode()
    found = list(read_facts(text, OPTIONS, [each for each in known if isinstance(each, Facts)]))
    alone = [(key, each) for one in now for key, each in read_facts(json.dumps([one]).encode(), OPTIONS)]
    assert [_plain(each) for _, each in found] == [_plain(each) for _, each in alone]


def _plain(found: Facts | Mistake) -> object:
    if isinstance(found, Mistake):
        return found.path, found.message
    endpoint = found.endpoint
    return found.key, found.port, endpoint if not isinstance(endpoint, Mistake) else endpoint.message
