"""A file of which only new documents are parsed says what it says when it is read whole."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xdsd.manifest import Limits, Manifest, parse_manifest, rereading
from xdsd.manifest.rereading import NO_PARTS, Parts, reparse_manifest

SPECS = ("{address: 10.0.0.1}", "{address: 10.0.0.2, labels: {a: b}}", "\n  address: 10.0.0.3\n  weight: 2")


def entry(name: str, spec: str) -> str:
    return (
        f"apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: {name}}}\nspec: {spec}\n"
    )


def described(manifest: Manifest) -> Any:
    """All that can be asked of it."""
    lines = [
        (item.line_of(), item.line_of("spec.address"), item.line_of("spec.weight"))
        for item in manifest.objects
    ]
    return replace(manifest, size=0), lines


_entries = st.builds(entry, st.sampled_from("abc"), st.sampled_from(SPECS))
_odd = st.sampled_from(
    [
        "",
        "\n\n",
        "# a comment\n",
        "...\n",
        "%YAML 1.1\n",
        "--- # a comment\n",
        "--- {}\n",
        "---x: y\n",
        "x: |\n  ---\n  text\n",
        "x: |+\n  text\n\n",
        "x: 'begun\n",
        "[\n",
        "]\n",
        "text\n",
        "\ufeff",
        "\r",
        "\r\n",
        "x: \u2028\n",
        '{"x": "\\ud83d\\ude00"}\n',
        "- &a x\n- *a\n",
        "- *a\n",
        "kind: List\nitems: []\n",
        json.dumps({"kind": "List", "items": [{"kind": "WorkloadEntry"}]}),
    ]
)
_files = st.lists(st.one_of(_entries, _entries, _entries, _odd, st.just("---\n")), max_size=8).map(
    "---\n".join
)


@settings(max_examples=400, deadline=None)
@given(st.lists(_files, min_size=1, max_size=4))
def test_however_a_file_changes_it_says_what_it_says(files: list[str]) -> None:
    """Objects, their lines and every problem, whatever its parts said before."""
    parts: Parts = NO_PARTS
    for text in files:
        read = reparse_manifest(text.encode(), "f.yaml", parts)
        assert described(read.manifest) == described(parse_manifest(text.encode(), "f.yaml"))
        parts = read.parts


def test_what_was_parsed_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a list in which one document changed that document is read, and what is below it is found where it is now."""
    documents = [entry(f"w{number}", SPECS[0]) for number in range(50)]
    known = reparse_manifest("---\n".join(documents).encode(), "f.yaml").parts
    assert len(known) == 50
    parsed: list[bytes] = []

    def counted(data: bytes, *args: Any, **kwargs: Any) -> Manifest:
        parsed.append(data)
        return parse_manifest(data, *args, **kwargs)

    monkeypatch.setattr(rereading, "parse_manifest", counted)
    documents[7] = entry("w7", SPECS[2])
    text = "---\n".join(documents).encode()
    read = reparse_manifest(text, "f.yaml", known)
    assert parsed == [documents[7].encode()]
    assert described(read.manifest) == described(parse_manifest(text, "f.yaml"))


def test_the_limits_are_those_of_the_file() -> None:
    """Not of each part; nor does a part that was parsed before count for nothing."""
    text = "---\n".join(entry(name, SPECS[0]) for name in "abcd").encode()
    known = reparse_manifest(text, "f.yaml").parts
    for limits in (Limits(max_nodes=30), Limits(max_documents=3), Limits(max_bytes=len(text) - 1)):
        whole = parse_manifest(text, "f.yaml", limits=limits)
        assert whole.problems
        assert reparse_manifest(text, "f.yaml", known, limits=limits).manifest == whole


def test_what_stands_twice_is_told_however_far_apart() -> None:
    """Also where one of the two was parsed before."""
    known = reparse_manifest(entry("a", SPECS[0]).encode(), "f.yaml").parts
    text = "---\n".join([entry("a", SPECS[0]), entry("b", SPECS[0]), entry("a", SPECS[1])]).encode()
    read = reparse_manifest(text, "f.yaml", known)
    assert [problem.line for problem in read.manifest.problems] == [11]
    assert read.parts == {}
