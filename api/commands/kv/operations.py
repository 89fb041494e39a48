"""The arguments of get, put and del, and the requests that they make: on the command line and in transactions alike."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click
from aetcd import rpc

from api.etcd_client import Message
from storage.base import prefix_end

_Command = TypeVar("_Command", bound=Callable[..., Any])

ALL = b"\0"
"""The first key there can be; as a range end, the end of all keys."""

_TARGETS = {"KEY": "KEY", "VERSION": "VERSION", "CREATE": "CREATE", "MODIFY": "MOD", "VALUE": "VALUE"}


class LeaseId(click.ParamType[int]):
    """A lease's id, in hexadecimal digits as etcdctl has it."""

    name = "lease"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; what is none is wrong usage."""
        if isinstance(value, int):
            return value
        try:
            found = int(str(value), 16)
        except ValueError:
            found = -1
        if not 0 <= found < 1 << 63:
            self.fail(
                f"{value!r} is no lease; leases are written in hexadecimal, as lease grant prints them",
                param,
                ctx,
            )
        return found


LEASE = LeaseId()


def get_arguments(command: _Command) -> _Command:
    """What ``get`` takes."""
    return _all(
        command,
        click.argument("key"),
        click.argument("range_end", required=False),
        *_wide(),
        click.option("--limit", type=click.IntRange(min=0), default=0, help="At most so many; 0: all."),
        click.option("--order", type=_choice("ASCEND", "DESCEND"), help="Default: ASCEND."),
        click.option("--sort-by", type=_choice(*_TARGETS), help="Default: KEY."),
        click.option(
            "--rev", type=click.IntRange(min=0), default=0, help="As it was at this revision; 0: now."
        ),
        click.option("--keys-only", is_flag=True, help="Keys without their values."),
        click.option("--count-only", is_flag=True, help="How many there are, nothing else."),
        click.option(
            "--consistency", type=_choice("l", "s"), default="l", help="Linearizable or serializable."
        ),
    )


def put_arguments(command: _Command) -> _Command:
    """What ``put`` takes."""
    return _all(
        command,
        click.argument("key"),
        click.argument("value", required=False),
        click.option(
            "--lease", type=LEASE, default="0", metavar="ID", help="Remove the key with this lease."
        ),
        click.option("--prev-kv", is_flag=True, help="Print what was there before."),
        click.option("--ignore-value", is_flag=True, help="Keep the value that the key has."),
        click.option("--ignore-lease", is_flag=True, help="Keep the lease that the key has."),
    )


def delete_arguments(command: _Command) -> _Command:
    """What ``del`` takes."""
    return _all(
        command,
        click.argument("key"),
        click.argument("range_end", required=False),
        *_wide(),
        click.option("--range", "ranged", is_flag=True, help="Say that RANGE_END is meant."),
        click.option("--prev-kv", is_flag=True, help="Print what was removed."),
    )


def get_request(
    key: str,
    range_end: str | None,
    prefix: bool,
    from_key: bool,
    limit: int,
    order: str | None,
    sort_by: str | None,
    rev: int,
    keys_only: bool,
    count_only: bool,
    consistency: str,
) -> Message:
    """The request of a get."""
    if keys_only and count_only:
        raise click.UsageError("--keys-only and --count-only cannot be set at the same time, choose one")
    start, end = span(key, range_end, prefix=prefix, from_key=from_key)
    request = rpc.RangeRequest(
        key=start,
        range_end=end,
        limit=limit,
        revision=rev,
        keys_only=keys_only,
        count_only=count_only,
        serializable=consistency == "s",
    )
    if order or sort_by:
        request.sort_order = rpc.RangeRequest.SortOrder.Value(order or "ASCEND")
        request.sort_target = rpc.RangeRequest.SortTarget.Value(_TARGETS[sort_by or "KEY"])
    return request


def put_request(
    key: str, value: bytes, lease: int, prev_kv: bool, ignore_value: bool, ignore_lease: bool
) -> Message:
    """The request of a put; ``value`` is empty where it is ignored."""
    if ignore_lease and lease:
        raise click.UsageError("--lease and --ignore-lease cannot be set at the same time, choose one")
    return rpc.PutRequest(
        key=text_bytes(key),
        value=value,
        lease=lease,
        prev_kv=prev_kv,
        ignore_value=ignore_value,
        ignore_lease=ignore_lease,
    )


def delete_request(
    key: str, range_end: str | None, prefix: bool, from_key: bool, ranged: bool, prev_kv: bool
) -> Message:
    """The request of a del."""
    if ranged and range_end is None:
        raise click.UsageError("--range needs a RANGE_END")
    start, end = span(key, range_end, prefix=prefix, from_key=from_key)
    return rpc.DeleteRangeRequest(key=start, range_end=end, prev_kv=prev_kv)


def span(key: str, range_end: str | None, *, prefix: bool, from_key: bool) -> tuple[bytes, bytes]:
    """Key and range end of a request; an empty end means the one key."""
    if prefix and from_key:
        raise click.UsageError("`--prefix` and `--from-key` cannot be set at the same time, choose one")
    if range_end is not None and (prefix or from_key):
        raise click.UsageError(
            "too many arguments, only accept one argument when `--prefix` or `--from-key` is set"
        )
    start = text_bytes(key)
    if prefix:
        return (start, prefix_end(start)) if start else (ALL, ALL)
    if from_key:
        return start or ALL, ALL
    if not start:
        raise click.UsageError("the key is empty; say --prefix for all keys")
    return start, text_bytes(range_end or "")


def text_bytes(value: str) -> bytes:
    """An argument as the bytes that were typed."""
    return os.fsencode(value)


def _wide() -> tuple[Callable[[_Command], _Command], ...]:
    return (
        click.option("--prefix", is_flag=True, help="All keys that begin with KEY."),
        click.option("--from-key", is_flag=True, help="All keys from KEY on, in the order of bytes."),
    )


def _choice(*words: str) -> click.Choice[str]:
    return click.Choice(words, case_sensitive=False)


def _all(command: _Command, *decorators: Callable[[_Command], _Command]) -> _Command:
    for decorate in reversed(decorators):
        command = decorate(command)
    return command
