"""``xdsctl history``: who wrote what, and when."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from api.commands.connection import Connection, pass_connection
from api.commands.differences import changes, unified
from api.commands.kind import KINDS_ARGUMENT
from api.commands.moment_type import MOMENT, Moment
from api.commands.output import Format, print_data, print_table
from api.commands.subject import Kinds, Subject, namespace_options, subject
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from xdsd.model.intent import KINDS

_SHOWN_CHANGES = 3
_WORDS = {
    pb.OUTCOME_CREATED: "created",
    pb.OUTCOME_CONFIGURED: "changed",
    pb.OUTCOME_DELETED: "deleted",
}


@click.command()
@click.argument("kinds", metavar="[KIND|KIND/NAME|all]", type=KINDS_ARGUMENT, required=False)
@click.argument("name", metavar="[NAME]", required=False)
@namespace_options
@click.option(
    "--limit", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="The most records."
)
@click.option("--since", type=MOMENT, help="Records of this moment and later alone.")
@click.option("--before", type=MOMENT, help="Records older than this moment alone.")
@click.option("--page", metavar="TOKEN", help="Go on where a page ended, which told the token.")
@click.option("--diff", "diffs", is_flag=True, help="With each record what it changed, as a unified diff.")
@click.option(
    "-o", "--output", type=Format, help="Data, fields that changed beside each record, or objects alone."
)
@click.option("--no-headers", is_flag=True, help="The table without its first line.")
@pass_connection
def history(
    connection: Connection,
    kinds: Kinds | None,
    name: str | None,
    namespace: str,
    all_namespaces: bool,
    limit: int,
    since: Moment | None,
    before: Moment | None,
    page: str | None,
    diffs: bool,
    output: str | None,
    no_headers: bool,
) -> None:
    """Tell who wrote which objects, the newest first.

    A moment is a revision (42), how long ago it was (1h), or a time (2026-01-31T12:00:00Z).
    """
    if diffs and output:
        raise click.UsageError("--diff is for people; -o json and -o yaml have both states of each object")
    wanted = subject(kinds, name, namespace, everywhere=all_namespaces)
    with connection.client() as client:
        found = client.history(_request(wanted, limit, since, before, page))
    if output in {"json", "yaml"}:
        print_data(_data(found), output)
        return
    if output == "name":
        for record in found.records:
            click.echo(_name(record.ref))
    elif diffs:
        _print_diffs(found.records)
    elif found.records:
        _print(found.records, wanted, wide=output == "wide", header=not no_headers)
    _print_rest(found, wanted, since)


def what_happened(found: pb.HistoryRecord) -> str:
    """What became of the object, in a word or two."""
    if found.rolled_back_to:
        return f"rolled back to {found.rolled_back_to}"
    return _WORDS.get(found.outcome, "changed")


def _request(
    wanted: Subject, limit: int, since: Moment | None, before: Moment | None, page: str | None
) -> pb.ListHistoryRequest:
    request = pb.ListHistoryRequest(
        kind=wanted.kind, namespace=wanted.namespace, name=wanted.name, limit=limit, page_token=page or ""
    )
    if isinstance(since, int):
        request.since_revision = since
    elif since is not None:
        request.since_time.FromDatetime(since)
    if isinstance(before, int):
        request.before_revision = before
    elif before is not None:
        request.before_time.FromDatetime(before)
    return request


def _print(records: Sequence[pb.HistoryRecord], wanted: Subject, *, wide: bool, header: bool) -> None:
    namespaces = not wanted.namespace
    titles = ["REVISION", "TIME", "WHO", "FROM", "WHAT", *(["NAMESPACE"] if namespaces else []), "OBJECT"]
    rows = [
        (
            *_cells(record),
            *((record.ref.namespace,) if namespaces else ()),
            _name(record.ref),
            *((_changed(record),) if wide else ()),
        )
        for record in records
    ]
    print_table([*titles, *(["CHANGES"] if wide else [])], rows, header=header)


def _cells(record: pb.HistoryRecord) -> tuple[str, ...]:
    return str(record.revision), _time(record), record.who, record.origin or "-", what_happened(record)


def _changed(record: pb.HistoryRecord) -> str:
    found = changes(record.before.json, record.after.json)
    more = f"; {len(found) - _SHOWN_CHANGES} more" if len(found) > _SHOWN_CHANGES else ""
    return "; ".join(found[:_SHOWN_CHANGES]) + more


def _print_diffs(records: Sequence[pb.HistoryRecord]) -> None:
    for number, record in enumerate(records):
        if number:
            click.echo()
        revision, moment, who, origin, what = _cells(record)
        ref = record.ref
        click.echo(
            f"revision {revision} of {moment}: {who} ({origin}) {what} {ref.kind} {ref.namespace}/{ref.name}"
        )
        name = f"{ref.kind}.{ref.namespace}.{ref.name}"
        click.echo(unified(name, record.before.json, record.after.json, ("before", "after")), nl=False)


def _print_rest(found: pb.ListHistoryResponse, wanted: Subject, since: Moment | None) -> None:
    """What the answer does not hold goes to the error stream."""
    if not found.records:
        where = f" in {wanted.namespace} namespace" if wanted.namespace else ""
        click.echo(f"No records found{where}.", err=True)
    if found.more and found.records:
        # Several records may have one revision, and the page may end among them.
        click.echo(
            f"There are older records: --page {found.next_page_token}, or a larger --limit, shows them.",
            err=True,
        )
    elif found.kept_since_revision and not (isinstance(since, int) and since >= found.kept_since_revision):
        kept = found.kept_since_revision
        click.echo(f"Older records were forgotten: all are kept from revision {kept} on.", err=True)


def _data(found: pb.ListHistoryResponse) -> dict[str, Any]:
    return {
        "records": [_record(record) for record in found.records],
        "more": found.more,
        "next": found.next_page_token or None,
        "keptSince": found.kept_since_revision,
    }


def _record(record: pb.HistoryRecord) -> dict[str, Any]:
    """A record as data; the names are stable."""
    return {
        "revision": record.revision,
        "time": _time(record),
        "who": record.who,
        "from": record.origin,
        "what": "rolled back" if record.rolled_back_to else what_happened(record),
        "rolledBackTo": record.rolled_back_to or None,
        "object": {"kind": record.ref.kind, "namespace": record.ref.namespace, "name": record.ref.name},
        "before": json.loads(record.before.json) if record.HasField("before") else None,
        "after": json.loads(record.after.json) if record.HasField("after") else None,
    }


def _time(record: pb.HistoryRecord) -> str:
    moment: datetime = record.time.ToDatetime(tzinfo=UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _name(ref: pb.ObjectRef) -> str:
    """As the other commands take it: ``virtualservice/reviews``."""
    kind = KINDS.get(ref.kind)
    return f"{kind.singular if kind else ref.kind.lower()}/{ref.name}"
