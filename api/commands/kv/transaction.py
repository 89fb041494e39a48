"""``xdsctl kv txn``: a transaction as etcdctl reads it.

Three parts, each ended by an empty line: comparisons, what to do if all of them hold, what to do if not::

    mod("a") > "0"

    put a "new value"

    put a created
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from aetcd import rpc

from api.commands.connection import Connection, pass_connection
from api.commands.etcd_output import output_options, view
from api.commands.kv.dry_run import print_txn_effect
from api.commands.kv.operations import (
    delete_arguments,
    delete_request,
    get_arguments,
    get_request,
    put_arguments,
    put_request,
    text_bytes,
)
from api.commands.kv.printing import print_txn
from api.commands.problems import warn
from api.etcd_client import EtcdClient, Message

_HEADINGS = ("compares:", "success requests (get, put, del):", "failure requests (get, put, del):")
_COMPARE = re.compile(r'\s*(\w+)\s*\(\s*("(?:[^"\\]|\\.)*")\s*\)\s*([=!<>]+)\s*("(?:[^"\\]|\\.)*"|\d+)\s*')
_WORD = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'[^']*'|[^\s"']\S*)(?=\s|$)""")
_TARGETS: Mapping[str, tuple[str, str]] = {
    "ver": ("VERSION", "version"),
    "version": ("VERSION", "version"),
    "c": ("CREATE", "create_revision"),
    "create": ("CREATE", "create_revision"),
    "m": ("MOD", "mod_revision"),
    "mod": ("MOD", "mod_revision"),
    "val": ("VALUE", "value"),
    "value": ("VALUE", "value"),
    "lease": ("LEASE", "lease"),
}
_RESULTS: Mapping[str, str] = {"=": "EQUAL", "!=": "NOT_EQUAL", ">": "GREATER", "<": "LESS"}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_CONTROLS: Mapping[str, bytes] = {
    "a": b"\a",
    "b": b"\b",
    "f": b"\f",
    "n": b"\n",
    "r": b"\r",
    "t": b"\t",
    "v": b"\v",
    "\\": b"\\",
    '"': b'"',
    "'": b"'",
}


class MalformedTxnError(Exception):
    """A line is none of a transaction; the message names it."""


@click.command()
@click.option(
    "-f", "--filename", help="A file with the transaction; - is the standard input, which is the default."
)
@click.option("-i", "--interactive", is_flag=True, help="Say before each part what belongs there.")
@click.option(
    "--dry-run", is_flag=True, help="Say which branch would run and what it would do, and write nothing."
)
@output_options
@pass_connection
def txn(
    connection: Connection,
    filename: str | None,
    interactive: bool,
    dry_run: bool,
    write_out: str | None,
    output: str | None,
    hexed: bool,
) -> None:
    """Do several operations at once, if comparisons hold: all as one revision, or nothing.

    \b
    Three parts, each ended by an empty line:
      comparisons        create|mod|version|value|lease("KEY") =|!=|<|> "VALUE"
      if all hold        get, put and del, as `xdsctl kv` has them
      if not             the same
    """
    shown = view(write_out, output, hexed)
    say = click.echo if interactive else None
    try:
        request = parse(_lines(filename), say)
    except MalformedTxnError as error:
        raise click.ClickException(str(error)) from error
    with connection.client() as client:
        if dry_run:
            print_txn_effect(client, request, shown)
        else:
            print_txn(shown, EtcdClient(client, warn=warn).txn(request))


def parse(lines: Iterator[str], say: Callable[[str], object] | None = None) -> Message:
    """The request that the lines make; ``say`` is told before each part what belongs there. Raises MalformedTxnError."""
    readers: tuple[Callable[[str], Message], ...] = (_compare, _operation, _operation)
    parts: list[list[Message]] = []
    for heading, reader in zip(_HEADINGS, readers, strict=True):
        if say is not None:
            say(heading)
        part = []
        for line in lines:
            if not line.strip():
                break
            part.append(reader(line.strip()))
        parts.append(part)
    rest = next((line for line in lines if line.strip()), None)
    if rest is not None:
        raise MalformedTxnError(f"a transaction has three parts, and {rest.strip()!r} stands in a fourth")
    return rpc.TxnRequest(compare=parts[0], success=parts[1], failure=parts[2])


def _lines(filename: str | None) -> Iterator[str]:
    if filename in {None, "-"}:
        yield from sys.stdin
        return
    try:
        text = Path(filename or "").read_text(errors="surrogateescape")
    except OSError as error:
        raise click.ClickException(
            f"{filename} cannot be read: {(error.strerror or str(error)).lower()}"
        ) from error
    yield from text.splitlines()


def _compare(line: str) -> Message:
    found = _COMPARE.fullmatch(line)
    if found is None:
        raise MalformedTxnError(f'invalid txn compare request: {line}; write it as mod("KEY") > "0"')
    target, key, result, operand = found.groups()
    if target not in _TARGETS:
        raise MalformedTxnError(
            f"invalid txn compare request: {line}; {target!r} is none of {', '.join(_TARGETS)}"
        )
    if result not in _RESULTS:
        raise MalformedTxnError(
            f"invalid txn compare request: {line}; {result!r} is none of {', '.join(_RESULTS)}"
        )
    name, field = _TARGETS[target]
    value = _unquoted(operand)
    compare = rpc.Compare(
        key=_unquoted(key),
        target=rpc.Compare.CompareTarget.Value(name),
        result=rpc.Compare.CompareResult.Value(_RESULTS[result]),
    )
    if name == "VALUE":
        compare.value = value
        return compare
    try:
        setattr(compare, field, int(value, 16 if name == "LEASE" else 10))
    except ValueError as error:
        raise MalformedTxnError(f"invalid txn compare request: {line}; {operand} is no number") from error
    return compare


def _operation(line: str) -> Message:
    words = _words(line)
    maker = _MAKERS.get(words[0])
    if maker is None:
        raise MalformedTxnError(f"invalid txn request: {line}; {words[0]!r} is none of {', '.join(_MAKERS)}")
    command, make = maker
    try:
        with command.make_context(words[0], words[1:]) as context:
            return make(context.params)
    except click.UsageError as error:
        raise MalformedTxnError(f"invalid txn request: {line}; {error.format_message()}") from error


def _put(arguments: dict[str, Any]) -> Message:
    value = arguments.pop("value")
    if (value is None) != arguments["ignore_value"]:
        raise click.UsageError("put takes KEY and VALUE, or KEY and --ignore-value")
    return rpc.RequestOp(request_put=put_request(value=text_bytes(value or ""), **arguments))


_MAKERS: Mapping[str, tuple[click.Command, Callable[[dict[str, Any]], Message]]] = {
    "get": (
        click.command("get", add_help_option=False)(get_arguments(lambda: None)),
        lambda arguments: rpc.RequestOp(request_range=get_request(**arguments)),
    ),
    "put": (click.command("put", add_help_option=False)(put_arguments(lambda: None)), _put),
    "del": (
        click.command("del", add_help_option=False)(delete_arguments(lambda: None)),
        lambda arguments: rpc.RequestOp(request_delete_range=delete_request(**arguments)),
    ),
}


def _words(line: str) -> list[str]:
    """The words of a line; those in quotes may hold spaces."""
    words, place = [], 0
    while place < len(line):
        found = _WORD.match(line, place)
        if found is None:
            raise MalformedTxnError(
                f"invalid txn request: {line}; a quote is not closed, or stands inside a word"
            )
        word = found[1]
        if word[0] == '"':
            word = _unquoted(word).decode("utf-8", "surrogateescape")
        elif word[0] == "'":
            word = word[1:-1]
        words.append(word)
        place = found.end()
    return words


def _unquoted(word: str) -> bytes:
    """What stands between double quotes, Go's escapes resolved; a bare word as it is."""
    if not word.startswith('"'):
        return word.encode("utf-8", "surrogateescape")
    found, place, inner = b"", 0, word[1:-1]
    for escape in _ESCAPE.finditer(inner):
        found += inner[place : escape.start()].encode("utf-8", "surrogateescape") + _resolved(escape[1])
        place = escape.end()
    return found + inner[place:].encode("utf-8", "surrogateescape")


def _resolved(escape: str) -> bytes:
    if escape in _CONTROLS:
        return _CONTROLS[escape]
    if escape[0] == "x":
        return bytes((int(escape[1:], 16),))
    if escape[0] in "uU":
        return chr(int(escape[1:], 16)).encode("utf-8", "surrogatepass")
    if len(escape) == 3:
        return bytes((int(escape, 8) & 0xFF,))
    raise MalformedTxnError(
        f"\\{escape} is no escape; there are {' '.join(chr(92) + each for each in _CONTROLS)} \\xNN \\uNNNN"
    )
