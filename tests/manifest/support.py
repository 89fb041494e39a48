"""What the tests of this folder share: sample files, and problems as one line each."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from xdsd.manifest import Manifest, parse_manifest

DATA = Path(__file__).parent / "data"
FULL = sorted((DATA / "full").glob("*.yaml"))
SAMPLES = sorted((DATA / "samples").glob("*.yaml"))


def parse(text: str) -> Manifest:
    return parse_manifest(text.encode(), "f.yaml")


def told(text: str) -> list[str]:
    """``LINE PATH REASON: MESSAGE`` of each problem."""
    return [
        f"{problem.line} {problem.path} {problem.reason}: {problem.message}"
        for problem in parse(text).problems
    ]


def written_leaves(value: Any, path: str = "spec") -> Iterator[str]:
    """The paths of all leaves in a spec, as lists of fields write them but with map keys in place of ``{}``."""
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from written_leaves(each, f"{path}.{key}")
    elif isinstance(value, list):
        for each in value:
            yield from written_leaves(each, f"{path}[]")
    else:
        yield path
