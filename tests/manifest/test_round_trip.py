"""What is written is read back equal, and nothing that is read can raise."""

import copy
import json
from typing import Any

import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.manifest.support import FULL, SAMPLES
from xdsd.manifest import Limits, object_to_dict, parse_manifest, parse_object
from xdsd.manifest.reading import Document, read_documents
from xdsd.model.intent import Object
from xdsd.model.problem import Problem, Reason

OBJECTS = [
    object_to_dict(item.object)
    for path in (*FULL, *SAMPLES)
    for item in parse_manifest(path.read_bytes(), path.name).objects
]
TEXTS = [path.read_bytes() for path in (*FULL, *SAMPLES)]

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        [
            *(
                "",
                "*",
                "a*",
                "*.example.com",
                "a.b",
                "~",
                ".",
                "v1",
                "10.0.0.1",
                "10.0.0.0/8",
                "unix:///a",
                "0s",
                "1.5s",
            ),
            *(
                "(a)\\1",
                "%",
                "%%",
                "\ud800",
                "\x00",
                "a" * 300,
                "HTTP",
                "TLS",
                "STATIC",
                "DNS",
                "NONE",
                0,
                1,
                -1,
                80,
                100,
            ),
            *(
                65536,
                2**31,
                2**32,
                2**64,
                1e308,
                0.00001,
                [],
                {},
                [None],
                [{}],
                {"": None},
                {"exact": "a"},
                True,
                False,
            ),
        ]
    ),
    st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.dictionaries(st.integers(), st.integers(), max_size=2),
)


ESCAPED_ALIKE = (
    st.characters(min_codepoint=0x20, max_codepoint=0x7E)
    | st.characters(min_codepoint=0x100, max_codepoint=0xCFFF)
    | st.characters(min_codepoint=0xE000, max_codepoint=0xFFFF)
)
"""Characters whose escapes mean the same in JSON and in YAML, as those of surrogates and of control characters do not."""


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every container of a value with each of its keys or positions."""
    found: list[tuple[Any, Any]] = []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, each in inner:
        found.append((value, step))
        found += _places(each)
    return found


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A valid object with a few places replaced, removed, renamed, doubled or moved."""
    value = copy.deepcopy(draw(st.sampled_from(OBJECTS)))
    for _ in range(draw(st.integers(0, 4))):
        places = _places(value)
        if not places:
            break
        holder, step = draw(st.sampled_from(places))
        action = draw(st.sampled_from(["replace", "remove", "rename", "double", "move"]))
        if action == "replace":
            holder[step] = copy.deepcopy(draw(ODD))
        elif action == "remove":
            del holder[step]
        elif action == "rename" and isinstance(holder, dict):
            holder[draw(st.text(max_size=8))] = holder.pop(step)
        elif action == "double" and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[step]))
        elif action == "move":
            source, other = draw(st.sampled_from(places))
            if isinstance(source, dict | list) and (isinstance(source, dict) and other in source):
                holder[step] = copy.deepcopy(source[other])
    return value


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_a_mutated_object_is_read_or_told(value: Any) -> None:
    """Either an object, which then survives writing and reading, or problems with reasons and sentences."""
    found = parse_object(value)
    if isinstance(found, Object):
        text = json.dumps(object_to_dict(found), allow_nan=False)
        assert parse_object(json.loads(text)) == found
        again = parse_manifest(text.encode(), "f.json")
        assert [item.object for item in again.objects] == [found]
        assert again.problems == ()
        return
    assert found
    for problem in found:
        assert isinstance(problem, Problem)
        assert problem.message
        assert len(str(problem)) < 2_000


def _as_json(value: Any) -> bytes | None:
    """The value as JSON in UTF-8, if that can hold it."""
    try:
        return json.dumps(json.loads(json.dumps(value, allow_nan=False)), ensure_ascii=False).encode()
    except (ValueError, TypeError):
        return None


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
@given(mutated())
def test_both_doors_tell_the_same(value: Any) -> None:
    """A file and decoded JSON of the same object have the same objects and the same problems."""
    text = _as_json(value)
    assume(text is not None)
    assert text is not None
    value = json.loads(text)
    direct = parse_object(value)
    manifest = parse_manifest(text, "f.json")
    if isinstance(direct, Object):
        assert [item.object for item in manifest.objects] == [direct]
    elif isinstance(value, dict) and value.get("kind") not in ("List", "VirtualServiceList"):
        assert manifest.objects == ()
        assert manifest.problems


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(TEXTS), st.data())
def test_damaged_text_never_raises(text: bytes, data: st.DataObject) -> None:
    """Bytes cut out, put in or changed give objects or problems, each problem on a line of the file."""
    damaged = bytearray(text)
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, max(len(damaged) - 1, 0)))
        end = min(len(damaged), start + data.draw(st.integers(0, 30)))
        damaged[start:end] = data.draw(
            st.one_of(
                st.binary(max_size=6),
                st.sampled_from([b"*", b"&a ", b"<<: ", b"\t", b"- ", b"{", b"[", b": ", b"'"]),
            )
        )
    manifest = parse_manifest(bytes(damaged), "f.yaml", limits=Limits(max_nodes=5_000))
    for problem in manifest.problems:
        assert problem.file == "f.yaml"
        assert 0 <= problem.line <= bytes(damaged).count(b"\n") + bytes(damaged).count(b"\r") + 2
        assert isinstance(problem.reason, Reason)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_told(data: bytes) -> None:
    """No file can raise."""
    manifest = parse_manifest(data, "f.yaml")
    assert manifest.objects == ()


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(-(2**60), 2**60),
            st.text(ESCAPED_ALIKE, max_size=8),
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.text(ESCAPED_ALIKE, max_size=5), inner, max_size=3),
        ),
        max_leaves=12,
    )
)
def test_json_is_read_as_python_reads_it(value: Any) -> None:
    """Of what JSON can say, reading as YAML loses and changes nothing."""
    text = json.dumps({"a": value})
    assume("\\ud" not in text and "\\u00" not in text and "<<" not in text)
    (document,) = read_documents(text.encode(), Limits())
    assert isinstance(document, Document)
    assert document.value == {"a": value}
    assert document.mistakes == ()


def test_the_same_object_from_yaml_and_from_its_dump_is_equal() -> None:
    """What another YAML writer makes of an object is the same object."""
    for made in OBJECTS:
        (item,) = parse_manifest(yaml.safe_dump(made).encode(), "f.yaml").objects
        assert object_to_dict(item.object) == made
