"""``xdsctl wait``: until the proxies live by what was declared."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import click
from click.shell_completion import CompletionItem
from rich.console import Console

from api.client import ApiError, Client, NotFoundError
from api.commands.blaming import who_is_to_blame
from api.commands.connection import Connection, pass_connection
from api.commands.duration_type import DURATION
from api.commands.output import print_data
from api.commands.proxies import STATES, TYPE_COLUMNS
from api.commands.revisions import newest_change, newest_change_of_objects
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from xdsd.model.problem import ObjectRef

_EVERY = 0.1
_GRACE = 1.0
"""Seconds that a rejection must last: it may be of what was there before, and what mends it be on its way."""


@dataclass(frozen=True, slots=True)
class Straggler:
    """A proxy that is not in sync, and the types with which it is not."""

    daemon: str
    proxy: pb.ProxyStatus
    types: tuple[pb.TypeStatus, ...]

    @property
    def rejects(self) -> bool:
        return any(status.state == pb.SYNC_STATE_NACKED for status in self.types)

    def __str__(self) -> str:
        said = ", ".join(f"{_column(each)} {STATES[each.state]}{_why(each)}" for each in self.types)
        return f"{self.proxy.name}.{self.proxy.namespace}: {said}"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far everyone is: the daemons' compiled revisions by their endpoints, and who lags."""

    compiled: tuple[tuple[str, int], ...]
    stragglers: tuple[Straggler, ...]
    proxies: int

    def done(self, revision: int) -> bool:
        return not self.stragglers and not self.behind(revision)

    def behind(self, revision: int) -> list[tuple[str, int]]:
        """The daemons that have not compiled the revision yet."""
        return [(endpoint, compiled) for endpoint, compiled in self.compiled if compiled < revision]


def _kinds(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from api.commands.kind import KINDS_ARGUMENT  # noqa: PLC0415 - the kinds of objects take a moment to import

    return KINDS_ARGUMENT.shell_complete(ctx, param, incomplete)


@click.command()
@click.argument("words", nargs=-1, metavar="[KIND NAME…|KIND/NAME…]", shell_complete=_kinds)
@click.option(
    "--for",
    "condition",
    type=click.Choice(["synced"]),
    required=True,
    expose_value=False,
    help="What to wait for.",
)
@click.option(
    "--revision", type=click.IntRange(min=1), help="Of the store; default: the newest change of an object."
)
@click.option("--timeout", type=DURATION, default="60s", show_default=True, help="How long at most.")
@click.option(
    "-n", "--namespace", default="default", envvar="XDSCTL_NAMESPACE", help="Of the objects that are named."
)
@click.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    metavar="ADDRESS",
    help="Other daemons on the same store; all are asked.",
)
@click.option("-o", "--output", type=click.Choice(["json"]), help="As data.")
@pass_connection
def wait(
    connection: Connection,
    words: tuple[str, ...],
    revision: int | None,
    timeout: timedelta,
    namespace: str,
    endpoints: tuple[str, ...],
    output: str | None,
) -> None:
    """Return when every connected proxy has acknowledged a change: that of the objects, of a revision, or the newest.

    Where none is connected there is nothing to wait for but the daemon, and a warning says so.

    Ends with 1 where a proxy rejects what it was sent, and when the time is over; each straggler is named then with
    the types that it lacks. With -o json: synced, revision, daemons (endpoint, compiledRevision) and stragglers
    (daemon, node, name, namespace, types).
    """
    if words and revision:
        raise click.UsageError("objects have revisions of their own; leave --revision out")
    refs = _refs(words, namespace)
    with ExitStack() as stack:
        first = stack.enter_context(connection.client())
        others = [stack.enter_context(connection.at(endpoint).client()) for endpoint in endpoints]
        wanted = _revision(first, refs, revision)
        progress = stack.enter_context(_progress_line(quiet=bool(output)))
        found, ended = _wait([first, *others], wanted, timeout.total_seconds(), progress)
        rejected = any(straggler.rejects for straggler in found.stragglers)
        blamed = who_is_to_blame([first, *others]) if rejected else []
    synced = found.done(wanted)
    if output:
        print_data(_json(found, wanted, synced=synced), output)
    elif synced:
        click.echo(_all_synced(found.proxies, wanted))
    if synced and not found.proxies:
        click.echo("Warning: no proxy is connected, so none of them has the change", err=True)
    if not synced:
        _complain(found, wanted, timeout, ended)
        for line in blamed:
            click.echo(line, err=True)
        raise click.exceptions.Exit(1)


def _all_synced(proxies: int, revision: int) -> str:
    if not proxies:
        return f"revision {revision} is compiled"
    who = "1 proxy is" if proxies == 1 else f"{proxies} proxies are"
    return f"{who} in sync with revision {revision}"


def _refs(words: Sequence[str], namespace: str) -> list[ObjectRef]:
    if not words:
        return []
    from api.commands.kind import KINDS_ARGUMENT  # noqa: PLC0415 - the kinds of objects take a moment to import
    from api.commands.subject import named  # noqa: PLC0415 - likewise

    found = named(KINDS_ARGUMENT.convert(words[0], None, click.get_current_context()), words[1:])
    if not found:
        raise click.UsageError("name objects as KIND/NAME or KIND NAME, such as vs/reviews")
    return [ObjectRef(kind.kind, namespace, name) for kind, name in found]


def _revision(client: Client, refs: Sequence[ObjectRef], revision: int | None) -> int:
    """The revision that daemons have to have compiled."""
    if refs:
        return max(_written(client, ref) for ref in refs)
    if revision is None:
        return newest_change(client)
    state = client.status()
    if state.compiled_revision >= revision or state.store.revision < revision:
        return revision
    # A revision in which no object changed is never compiled: what was changed up to it is.
    return min(revision, newest_change_of_objects(client))


def _written(client: Client, ref: ObjectRef) -> int:
    try:
        return int(json.loads(client.get(ref))["metadata"]["resourceVersion"])
    except NotFoundError as error:
        from api.kinds import not_found  # noqa: PLC0415 - the kinds of objects take a moment to import

        raise ApiError(error.code, not_found(ref)) from error


def _wait(
    clients: Sequence[Client], revision: int, seconds: float, say: Callable[[str], None]
) -> tuple[Progress, bool]:
    """How far all were in the end, and whether the time was over."""
    deadline = time.monotonic() + seconds
    rejected_since: dict[str, float] = {}
    while True:
        found = _look(clients)
        now = time.monotonic()
        if found.done(revision):
            return found, False
        if not found.behind(revision):
            guilty = {each.proxy.node_id for each in found.stragglers if each.rejects}
            rejected_since = {node: rejected_since.get(node, now) for node in guilty}
            if any(now - since >= _GRACE for since in rejected_since.values()):
                return found, False
        if now >= deadline:
            return found, True
        say(_sentence(found, revision))
        time.sleep(min(_EVERY, max(deadline - now, 0)))


def _look(clients: Sequence[Client]) -> Progress:
    compiled, stragglers, proxies = [], [], 0
    for client in clients:
        endpoint = str(client.endpoint)
        # In this order: what is compiled when the proxies are asked for is marked with them as not acknowledged.
        compiled.append((endpoint, client.status().compiled_revision))
        for proxy in client.proxies():
            proxies += 1
            lacking = tuple(status for status in proxy.types if status.state != pb.SYNC_STATE_SYNCED)
            if lacking:
                stragglers.append(Straggler(endpoint, proxy, lacking))
    return Progress(tuple(compiled), tuple(stragglers), proxies)


def _sentence(found: Progress, revision: int) -> str:
    if found.behind(revision):
        return f"revision {revision} is being compiled"
    return f"{found.proxies - len(found.stragglers)} of {found.proxies} proxies are in sync with revision {revision}"


def _complain(found: Progress, revision: int, timeout: timedelta, over: bool) -> None:
    if over:
        click.echo(
            f"Error: not in sync with revision {revision} after {timeout.total_seconds():g} seconds", err=True
        )
    else:
        click.echo(f"Error: revision {revision} is rejected", err=True)
    for endpoint, compiled in found.behind(revision):
        click.echo(f"the daemon at {endpoint} has compiled revision {compiled}", err=True)
    for straggler in found.stragglers:
        if over or straggler.rejects:
            click.echo(str(straggler), err=True)


def _column(status: pb.TypeStatus) -> str:
    return TYPE_COLUMNS.get(status.type_url, status.type_url)


def _why(status: pb.TypeStatus) -> str:
    return f" ({status.error})" if status.error else ""


def _json(found: Progress, revision: int, *, synced: bool) -> dict[str, Any]:
    return {
        "synced": synced,
        "revision": revision,
        "daemons": [
            {"endpoint": endpoint, "compiledRevision": compiled} for endpoint, compiled in found.compiled
        ],
        "proxies": found.proxies,
        "stragglers": [
            {
                "daemon": each.daemon,
                "node": each.proxy.node_id,
                "name": each.proxy.name,
                "namespace": each.proxy.namespace,
                "types": {
                    _column(status).lower(): {"state": STATES[status.state], "error": status.error}
                    for status in each.types
                },
            }
            for each in found.stragglers
        ],
    }


@contextmanager
def _progress_line(*, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A line that is rewritten, on a terminal alone."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda _: None
        return
    with console.status("waiting") as status:
        yield status.update
