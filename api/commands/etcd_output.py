"""How what the etcd API says is printed: etcdctl's ``simple``, ``json`` and ``fields``, and ours, which is JSON that people
read.

etcdctl's JSON has bytes as base64 and leaves out what is zero or empty. Ours has text as text, leases in hexadecimal, and
every field always; bytes that are no UTF-8 stand as ``{"base64": "…"}``.
"""

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from api.commands.output import to_json
from api.etcd_client import Message

Json = dict[str, Any]
_Command = TypeVar("_Command", bound=Callable[..., Any])
_ESCAPES: Mapping[str, str] = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    '"': '\\"',
    "\\": "\\\\",
}


@dataclass(frozen=True, slots=True)
class View:
    """What was asked for: ``simple``, ``json``, ``fields`` or ``ours``; ``hexed`` escapes every byte of simple output."""

    form: str
    hexed: bool = False

    def bytes(self, value: bytes) -> bytes:
        """A key or value in simple output."""
        return "".join(f"\\x{byte:02x}" for byte in value).encode() if self.hexed else value


def output_options(command: _Command) -> _Command:
    """-w, -o and --hex; what was asked for is read by ``view``."""
    for decorate in (
        click.option("--hex", "hexed", is_flag=True, help="Print every byte of keys and values as \\xNN."),
        click.option("-o", "--output", type=click.Choice(["json"]), help="Data that people can read."),
        click.option(
            "-w",
            "--write-out",
            type=click.Choice(["simple", "json", "fields"]),
            help="As etcdctl writes it. Default: simple.",
        ),
    ):
        command = decorate(command)
    return command


def view(write_out: str | None, output: str | None, hexed: bool = False) -> View:
    """The view that options ask for."""
    if write_out and output:
        raise click.UsageError("-w is etcdctl's output and -o ours; use one of the two")
    if hexed and (output or write_out not in {None, "simple"}):
        raise click.UsageError("--hex is for simple output")
    return View("ours" if output else write_out or "simple", hexed)


def raw_json(message: Message) -> Json:
    """A message as etcdctl's JSON has it."""
    found: Json = {}
    for field, value in message.ListFields():
        listed = [_raw(item, field) for item in value] if field.is_repeated else _raw(value, field)
        if message.DESCRIPTOR.name == "ResponseOp":
            found["Response"] = {field.name: listed}
        elif field.name == "header":
            found = {"header": listed, **found}
        else:
            found[field.name] = listed
    return found


def _raw(value: Any, field: Any) -> Any:
    if field.message_type is not None:
        return raw_json(value)
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def flat_json(message: Message, **fields: Any) -> Json:
    """A header, and fields beside it, as etcdctl has it for leases."""
    return {**raw_json(message.header), **fields}


def print_raw(value: Json) -> None:
    """JSON on one line."""
    click.echo(json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def print_ours(value: Json) -> None:
    """JSON for people and programs; the names are stable."""
    click.echo(to_json(value))


def kv_json(kv: Message) -> Json:
    """A key and its value, in our JSON."""
    return {
        "key": text(kv.key),
        "value": text(kv.value),
        "createRevision": kv.create_revision,
        "modRevision": kv.mod_revision,
        "version": kv.version,
        "lease": f"{kv.lease:016x}" if kv.lease else "",
    }


def text(value: bytes) -> str | Json:
    """Bytes as the text that they are, or what they are instead."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def print_fields(fields: Iterable[tuple[str, Any]]) -> None:
    """One ``"Name" : value`` a line."""
    for name, value in fields:
        shown = (
            quoted(value)
            if isinstance(value, bytes | str)
            else str(value).lower()
            if isinstance(value, bool)
            else value
        )
        click.echo(f'"{name}" : {shown}')


def header_fields(header: Message) -> list[tuple[str, Any]]:
    """The header of a response."""
    return [
        ("ClusterID", header.cluster_id),
        ("MemberID", header.member_id),
        ("Revision", header.revision),
        ("RaftTerm", header.raft_term),
    ]


def kv_fields(kv: Message, prefix: str = "") -> list[tuple[str, Any]]:
    """A key and its value, each name after ``prefix``."""
    return [
        (f"{prefix}Key", kv.key),
        (f"{prefix}CreateRevision", kv.create_revision),
        (f"{prefix}ModRevision", kv.mod_revision),
        (f"{prefix}Version", kv.version),
        (f"{prefix}Value", kv.value),
        (f"{prefix}Lease", kv.lease),
    ]


def quoted(value: bytes | str) -> str:
    """In double quotes, with Go's escapes, as etcdctl does."""
    decoded = value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")
    return f'"{"".join(map(_escaped, decoded))}"'


def _escaped(char: str) -> str:
    code = ord(char)
    if char in _ESCAPES:
        return _ESCAPES[char]
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    if char.isprintable():
        return char
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
