"""Text becomes values with lines; what is hostile or makes no sense ends the reading, and says why."""

import json
import math

import pytest

from tests.manifest.support import parse, told
from xdsd.manifest import Limits, parse_manifest
from xdsd.manifest.reading import Document, Mistake, read_documents
from xdsd.model.problem import Reason

HEAD = "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: x}\n"


def _values(text: str) -> list[object]:
    return [
        document.value if isinstance(document, Document) else document
        for document in read_documents(text.encode(), Limits())
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a", "a"),
        ("'5'", "5"),
        ("5", 5),
        ("-5", -5),
        ("0x1F", 31),
        ("1.5", 1.5),
        ("100.0", 100),
        ("1e3", 1000),
        ("true", True),
        ("Yes", True),
        ("off", False),
        ("oFF", "oFF"),
        ("y", "y"),
        ("~", None),
        ("", None),
        ("null", None),
        (".inf", math.inf),
        ("2026-01-31", "2026-01-31"),
        ("12:30:45", "12:30:45"),
        ("1.2.3", "1.2.3"),
        ("=", "="),
        ("!!str 5", "5"),
        ("!!int 5", 5),
        ("! 5", "5"),
        ("|\n  a\n  b\n", "a\nb\n"),
        ("{a: 1, 'b': [x]}", {"a": 1, "b": ["x"]}),
        ('{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        ('{\n\t"a": [1,\n\t2]}', {"a": [1, 2]}),
    ],
)
def test_scalars_are_read_as_kubectl_reads_them(text: str, value: object) -> None:
    """Numbers, booleans and nulls are themselves; quoted text is text."""
    assert _values(text) == [value] if text else _values("a:") == [{"a": value}]


@pytest.mark.parametrize("text", ["010", "0o17", "1_000", "0b11", "0x1_f", "9" * 41, "!!int a", "!mine a"])
def test_ambiguous_scalars_are_refused(text: str) -> None:
    """What readers of YAML disagree about is a mistake on its line, with a way out."""
    (document,) = read_documents(f"a:\n- {text}\n".encode(), Limits())
    assert isinstance(document, Document)
    assert [(mistake.line, mistake.path, mistake.reason) for mistake in document.mistakes] == [
        (2, ("a", 0), Reason.WRONG_TYPE)
    ]


def test_several_documents_are_read_one_by_one() -> None:
    """Empty documents are nulls, and comments are nothing."""
    assert _values("---\na: 1\n---\n# nothing\n---\nb: 2\n...\n") == [{"a": 1}, None, {"b": 2}]


def test_anchors_and_merges_mean_what_they_mean_to_kubectl() -> None:
    """An alias stands for its value, a merge adds what is not there, and the map's own keys win."""
    assert _values("a: &a {x: 1, z: 2}\nb: {<<: *a, x: 3}\nc: [*a]\nd: {<<: [*a, {w: 4}]}\n") == [
        {"a": {"x": 1, "z": 2}, "b": {"x": 3, "z": 2}, "c": [{"x": 1, "z": 2}], "d": {"x": 1, "z": 2, "w": 4}}
    ]


@pytest.mark.parametrize(
    ("text", "line", "reason", "message"),
    [
        ("a: [1, 2", 1, Reason.MALFORMED_FILE, "not YAML: while parsing a flow sequence"),
        (
            "a: [1,\n\n  2\nb: 1\n",
            4,
            Reason.MALFORMED_FILE,
            "not YAML: while parsing a flow sequence begun on line 1, did not find expected",
        ),
        ("a: b: c\n", 1, Reason.MALFORMED_FILE, "not YAML: mapping values are not allowed in this context"),
        ("a:\n\t- 1\n", 2, Reason.MALFORMED_FILE, "not YAML: while scanning for the next token"),
        ("x\n\n\0", 3, Reason.MALFORMED_FILE, "not YAML: control characters are not allowed"),
        ("a: *nothing\n", 1, Reason.MALFORMED_FILE, "the alias *nothing names nothing before it"),
        ("a: &a [*a]\n", 1, Reason.MALFORMED_FILE, "the alias *a stands inside what it names"),
        ("b: 1\na: " + "[" * 200, 2, Reason.TOO_LARGE, "nested deeper than 64 levels"),
        (
            "".join(" " * depth + "a:\n" for depth in range(80)),
            65,
            Reason.TOO_LARGE,
            "nested deeper than 64 levels",
        ),
        ('{"a": "\\ud83d"}', 1, Reason.MALFORMED_FILE, "not YAML: "),
    ],
)
def test_text_that_makes_no_sense_ends_the_reading(
    text: str, line: int, reason: Reason, message: str
) -> None:
    """The mistake names the line where sense ended."""
    last = list(read_documents(text.encode(), Limits()))[-1]
    assert isinstance(last, Mistake)
    assert (last.line, last.reason) == (line, reason)
    assert last.message.startswith(message)


def test_what_stands_before_a_broken_document_is_read() -> None:
    """A file that breaks off has told what came before."""
    manifest = parse(HEAD + "spec: {address: 192.0.2.1}\n---\nkind: [\n")
    assert [str(item.object.ref) for item in manifest.objects] == ["WorkloadEntry default/x"]
    assert [(problem.line, problem.reason) for problem in manifest.problems] == [(7, Reason.MALFORMED_FILE)]


def test_alias_bombs_cost_no_more_than_a_refusal() -> None:
    """Aliases count for all they stand for, before anything is expanded."""
    layers = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{layer}: &a{layer} [{', '.join([f'*a{layer - 1}'] * 10)}]\n" for layer in range(1, 12)
    )
    (problem,) = parse(layers).problems
    assert problem.reason is Reason.TOO_LARGE
    assert problem.message == "the file holds more than 1000000 values, aliases counted in full; split it"
    assert problem.line == 6


def test_merge_bombs_cost_no_more_than_a_refusal() -> None:
    """Merges are aliases, and count as such."""
    layers = "a0: &a0 {" + ", ".join(f"k{key}: 1" for key in range(1000)) + "}\n"
    layers += "".join(
        f"a{layer}: &a{layer} {{<<: [{', '.join([f'*a{layer - 1}'] * 10)}]}}\n" for layer in range(1, 9)
    )
    assert [problem.reason for problem in parse(layers).problems] == [Reason.TOO_LARGE]


def test_files_that_are_too_large_are_refused_unread() -> None:
    """Fifty megabytes are one problem."""
    (problem,) = parse_manifest(b"#" * 50_000_000, "f.yaml").problems
    assert str(problem) == "f.yaml: the file has 50000000 bytes, which is above 8388608; split it"
    assert problem.reason is Reason.TOO_LARGE


def test_documents_are_limited() -> None:
    """A file of very many documents is to be split."""
    (problem,) = parse_manifest(b"---\n" * 10, "f.yaml", limits=Limits(max_documents=5)).problems
    assert str(problem) == "f.yaml:6: the file has more than 5 documents; split it"


def test_problems_are_limited() -> None:
    """A file in which everything is wrong says so, and ends."""
    text = HEAD + "spec:\n  address: 192.0.2.1\n" + "".join(f"  a{field}: 1\n" for field in range(5_000))
    problems = parse(text + f"---\n{text}").problems
    assert len(problems) == 1_001
    assert problems[-1].message == "there are more than 1000 problems; the rest of the file was not read"


def test_text_is_utf8() -> None:
    """The first byte that is not is named with its line; a byte order mark is nothing."""
    assert [str(problem) for problem in parse_manifest(b"a: 1\nb: \xff\n", "f.yaml").problems] == [
        "f.yaml:2: byte 0xff is no UTF-8; save the file as UTF-8"
    ]
    assert (
        parse_manifest(b"\xef\xbb\xbf" + (HEAD + "spec: {address: a.b}\n").encode(), "f.yaml").problems == ()
    )


def test_a_key_is_in_a_map_once() -> None:
    """A second key would silently replace the first, so both lines are named."""
    assert told(HEAD + "spec:\n  address: 192.0.2.1\n  address: 192.0.2.2\n") == [
        "6 spec.address MalformedFile: the key is in the same map twice, first on line 5"
    ]
    assert parse(HEAD + "spec:\n  address: 192.0.2.1\n  address: 192.0.2.2\n").objects == ()


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("{on: a}", "4 spec.labels WrongType: 'on' is no text to YAML; put the key in quotes"),
        ("{0x1: a}", "4 spec.labels WrongType: '0x1' is no text to YAML; put the key in quotes"),
        ("{[a]: b}", "4 spec.labels WrongType: a list is no key"),
        ("{a: on}", "4 spec.labels[a] WrongType: true is not text; put it in quotes"),
        ("{a: 1}", "4 spec.labels[a] WrongType: 1 is not text; put it in quotes"),
        ("{a: 1.0}", "4 spec.labels[a] WrongType: 1 is not text; put it in quotes"),
        (
            "{a: 010}",
            (
                "4 spec.labels[a] WrongType: '010' is a number to some readers of YAML, text to others; "
                "quote it, or write a plain number"
            ),
        ),
        ("{a: .nan}", "4 spec.labels[a] WrongType: nan is not text; put it in quotes"),
        (
            "{a: null}",
            "4 spec.labels[a] WrongType: null is not text; leave the field out or give it a value",
        ),
        ("{<<: 1}", "4 spec.labels WrongType: << merges a map or a list of maps, nothing else"),
    ],
)
def test_text_is_never_made_of_something_else(labels: str, expected: str) -> None:
    """A label that YAML reads as a number, a boolean or null is told, with the quotes that it needs."""
    assert told(HEAD + f"spec: {{address: 192.0.2.1, labels: {labels}}}\n") == [expected]


def test_json_is_read_as_it_is() -> None:
    """JSON, pretty or not, is YAML too."""
    made = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "WorkloadEntry",
        "metadata": {"name": "x", "annotations": {"a/b": 'line\n"quoted" \\ud83d \U0001f600'}},
        "spec": {"address": "192.0.2.1"},
    }
    for indent in (None, 2, "\t"):
        (item,) = parse(json.dumps(made, indent=indent)).objects
        assert item.object.metadata.annotations == {"a/b": 'line\n"quoted" \\ud83d \U0001f600'}
