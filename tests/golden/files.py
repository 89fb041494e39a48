"""Golden files: what a mesh compiles to, as text that people review."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.json_format import MessageToDict

from tests.golden.mesh import WORDS, Outcome, of_type
from xdsd.model.problem import Problem
from xdsd.snapshot import EXTENSION, VIRTUAL_HOST

HERE = Path(__file__).parent
PROBLEMS = "problems.txt"
_SELDOM = (EXTENSION, VIRTUAL_HOST)
"""Types of which most proxies have none, and then no file either."""
_FIRST = ("@type", "name", "cluster_name")


def inputs() -> list[Path]:
    """The input files of all cases."""
    return sorted((HERE / "in").glob("*.yaml"))


def folder(case: str) -> Path:
    """Where the outputs of a case stand."""
    return HERE / "out" / case


def written(outcome: Outcome) -> dict[str, str]:
    """File name to content: ``PROXY.clusters.yaml`` and so on, and ``problems.txt`` if there are any."""
    files: dict[str, str] = {}
    for proxy, resources in outcome.resources.items():
        for type_url, word in WORDS.items():
            content = text(of_type(resources, type_url))
            if content or type_url not in _SELDOM:
                files[f"{proxy}.{word}.yaml"] = content
    if outcome.problems:
        files[PROBLEMS] = "".join(f"{line}\n" for line in _lines(outcome.problems))
    return files


def text(messages: Iterable[Any]) -> str:
    """Messages as YAML, equal for equal messages."""
    plain = [
        _ordered(
            MessageToDict(
                message, preserving_proto_field_name=True, always_print_fields_with_no_presence=False
            )
        )
        for message in messages
    ]
    return (
        yaml.dump_all(plain, Dumper=_Dumper, sort_keys=False, explicit_start=True, width=110) if plain else ""
    )


def present(case: str) -> dict[str, str]:
    """The outputs of a case as they are kept."""
    return {file.name: file.read_text() for file in sorted(folder(case).glob("*"))}


def rewrite(case: str, files: dict[str, str]) -> None:
    """Keeps these outputs and no others."""
    folder(case).mkdir(parents=True, exist_ok=True)
    for stale in set(present(case)) - set(files):
        (folder(case) / stale).unlink()
    for name, content in files.items():
        (folder(case) / name).write_text(content)


def _lines(problems: Iterable[Problem]) -> Iterator[str]:
    for problem in problems:
        yield f"{problem.severity} {problem.reason} {problem}"


def _ordered(value: Any) -> Any:
    """Names first and the rest by name, so that maps, which have no order, get one."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (_FIRST.index(key) if key in _FIRST else len(_FIRST), key))
        return {key: _ordered(value[key]) for key in keys}
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    return json.loads(json.dumps(value))


class _Dumper(yaml.SafeDumper):
    """Writes equal parts out in full."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
