"""How commands print: tables in plain columns, JSON, YAML; on a terminal with colours, through a pipe without.

A table never wraps or cuts a cell, so that what a script cuts out of a line is whole.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
import yaml
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

_GAP = "   "
_STYLES: Mapping[str, str] = {
    "SYNCED": "green",
    "HEALTHY": "green",
    "ok": "green",
    "STALE": "yellow",
    "SYNCING": "yellow",
    "MISSING": "red",
    "DRAINING": "yellow",
    "AWAY": "yellow",
    "DEGRADED": "yellow",
    "warning": "yellow",
    "NACKED": "bold red",
    "UNHEALTHY": "red",
    "missing": "red",
    "error": "red",
}

_QUERIES = (
    "jsonpath",
    "jsonpath-file",
    "jsonpath-as-json",
    "custom-columns",
    "go-template",
    "go-template-file",
)


class _Formats(click.Choice[str]):
    """Formats; for kubectl's query languages it is told what to use instead."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The format; another is wrong usage."""
        word = str(value).partition("=")[0]
        if word in _QUERIES:
            self.fail(f"{word} is not there: take -o json, and pick from that with jq", param, ctx)
        found: str = super().convert(value, param, ctx)
        return found


Format = _Formats(["json", "yaml", "wide", "name"])
DataFormat = _Formats(["json", "yaml"])


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, header: bool = True) -> None:
    """Left-aligned columns as wide as their widest cell."""
    console = Console(highlight=False, soft_wrap=True)
    body = [tuple(row) for row in rows]
    for line in table_lines(columns, body, header=header):
        console.print(line, crop=False)


def table_lines(columns: Sequence[str], rows: Sequence[Sequence[str]], *, header: bool = True) -> list[Text]:
    """The table's lines; states are styled, which only a terminal shows."""
    cells = [tuple(columns), *rows]
    widths = [max(cell_len(row[index]) for row in cells) for index in range(len(columns))]
    lines = []
    for number, row in enumerate(cells):
        if number == 0 and not header:
            continue
        line = Text(style="bold" if number == 0 else "")
        for index, cell in enumerate(row):
            last = index == len(row) - 1
            padding = "" if last else " " * (widths[index] - cell_len(cell)) + _GAP
            line.append(cell, _STYLES.get(cell) if number else None).append(padding)
        line.rstrip()
        lines.append(line)
    return lines


def to_json(value: Any) -> str:
    """Indented JSON; Any, because it is JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def to_yaml(value: Any) -> str:
    """Block YAML in the order of the value's keys; no aliases."""
    text: str = yaml.dump(value, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True, width=1 << 20)
    return text.rstrip("\n")


def print_data(value: Any, data_format: str) -> None:
    """JSON or YAML."""
    click.echo(to_json(value) if data_format == "json" else to_yaml(value))


def counted(number: int, noun: str) -> str:
    """``1 key``, ``2 keys``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def readable(size: int) -> str:
    """Bytes as people say them: ``512 B``, ``20 kB``, ``1.5 MB``."""
    value, unit = float(size), "B"
    for larger in ("kB", "MB", "GB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if unit != "B" and value < 9.95 else f"{value:.0f} {unit}"


class _PlainDumper(yaml.SafeDumper):
    """Writes equal values out again instead of referring to them, and text of several lines as a block."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - yaml's signature
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """Text of several lines as a block, as people write it."""
        return self.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)


_PlainDumper.add_representer(str, _PlainDumper.represent_str)
