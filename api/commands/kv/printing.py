"""What the operations on keys print, in each form."""

from typing import Any

import click

from api.commands.etcd_output import (
    Json,
    View,
    header_fields,
    kv_fields,
    kv_json,
    print_fields,
    print_ours,
    print_raw,
    raw_json,
    text,
)
from api.etcd_client import Message


def print_get(view: View, response: Message, *, value_only: bool = False, counted: bool = False) -> None:
    """What a get found; ``counted`` prints how many alone."""
    if view.form == "simple":
        if counted:
            click.echo(response.count)
        for kv in response.kvs:
            if not value_only:
                click.echo(view.bytes(kv.key))
            # With --keys-only there is an empty line too: scripts made for etcdctl read every other one.
            click.echo(view.bytes(kv.value))
    else:
        _print(view, response, _get_fields(response), _get_json(response))


def print_put(view: View, response: Message) -> None:
    """That it was written, and what was there."""
    if view.form == "simple":
        click.echo("OK")
        if response.HasField("prev_kv"):
            _print_kv(view, response.prev_kv)
    else:
        _print(view, response, _put_fields(response), _put_json(response))


def print_delete(view: View, response: Message) -> None:
    """How many were removed, and which."""
    if view.form == "simple":
        click.echo(response.deleted)
        for kv in response.prev_kvs:
            _print_kv(view, kv)
    else:
        _print(view, response, _delete_fields(response), _delete_json(response))


def print_txn(view: View, response: Message) -> None:
    """Which branch ran, and what its operations said."""
    if view.form == "simple":
        click.echo("SUCCESS" if response.succeeded else "FAILURE")
        for each in response.responses:
            click.echo()
            kind = each.WhichOneof("response")
            if kind == "response_put":
                print_put(view, each.response_put)
            elif kind == "response_delete_range":
                print_delete(view, each.response_delete_range)
            else:
                print_get(view, each.response_range)
        return
    fields = [*header_fields(response.header), ("Succeeded", response.succeeded)]
    for each in response.responses:
        fields += _SAID[each.WhichOneof("response")][0](getattr(each, each.WhichOneof("response")))
    found = {
        "revision": response.header.revision,
        "succeeded": response.succeeded,
        "responses": [_said(each) for each in response.responses],
    }
    _print(view, response, fields, found)


def print_watch(view: View, response: Message) -> None:
    """The events of one response; without any, that all up to its revision was told."""
    if view.form == "simple":
        if not response.events:
            click.echo(f"progress notify: {response.header.revision}")
        for event in response.events:
            click.echo(_kind(event))
            if event.HasField("prev_kv"):
                _print_kv(view, event.prev_kv)
            _print_kv(view, event.kv)
    elif view.form == "json":
        print_raw(_watch_raw(response))
    elif view.form == "fields":
        print_fields(
            [
                *header_fields(response.header),
                *(field for event in response.events for field in _event_fields(event)),
            ]
        )
    else:
        for found in [_event_json(event) for event in response.events] or [
            {"type": "PROGRESS", "revision": response.header.revision}
        ]:
            print_raw(found)


def _print(view: View, response: Message, fields: list[tuple[str, Any]], ours: Json) -> None:
    if view.form == "json":
        print_raw(raw_json(response))
    elif view.form == "fields":
        print_fields(fields)
    else:
        print_ours(ours)


def _print_kv(view: View, kv: Message) -> None:
    click.echo(view.bytes(kv.key))
    click.echo(view.bytes(kv.value))


def _get_fields(response: Message) -> list[tuple[str, Any]]:
    listed = [field for kv in response.kvs for field in kv_fields(kv)]
    return [*header_fields(response.header), *listed, ("More", response.more), ("Count", response.count)]


def _put_fields(response: Message) -> list[tuple[str, Any]]:
    before = kv_fields(response.prev_kv, "Prev") if response.HasField("prev_kv") else []
    return [*header_fields(response.header), *before]


def _delete_fields(response: Message) -> list[tuple[str, Any]]:
    before = [field for kv in response.prev_kvs for field in kv_fields(kv, "Prev")]
    return [*header_fields(response.header), ("Deleted", response.deleted), *before]


def _event_fields(event: Message) -> list[tuple[str, Any]]:
    before = kv_fields(event.prev_kv, "Prev") if event.HasField("prev_kv") else []
    # etcdctl leaves the type bare.
    return [("Type", _Bare(_kind(event))), *before, *kv_fields(event.kv)]


def _get_json(response: Message) -> Json:
    return {
        "revision": response.header.revision,
        "kvs": [kv_json(kv) for kv in response.kvs],
        "more": response.more,
        "count": response.count,
    }


def _put_json(response: Message) -> Json:
    before = kv_json(response.prev_kv) if response.HasField("prev_kv") else None
    return {"revision": response.header.revision, "previous": before}


def _delete_json(response: Message) -> Json:
    return {
        "revision": response.header.revision,
        "deleted": response.deleted,
        "previous": [kv_json(kv) for kv in response.prev_kvs],
    }


_SAID: dict[str, tuple[Any, Any, str]] = {
    "response_put": (_put_fields, _put_json, "put"),
    "response_range": (_get_fields, _get_json, "get"),
    "response_delete_range": (_delete_fields, _delete_json, "delete"),
}


def _said(each: Message) -> Json:
    kind = each.WhichOneof("response")
    _, as_json, name = _SAID[kind]
    return {name: as_json(getattr(each, kind))}


def _watch_raw(response: Message) -> Json:
    """As Go's client shows it: not the message that was sent."""
    return {
        "Header": raw_json(response.header),
        "Events": [raw_json(event) for event in response.events],
        "CompactRevision": response.compact_revision,
        "Canceled": response.canceled,
        "Created": response.created,
    }


def _event_json(event: Message) -> Json:
    kind = _kind(event)
    after = (
        {"key": text(event.kv.key), "modRevision": event.kv.mod_revision}
        if kind == "DELETE"
        else kv_json(event.kv)
    )
    return {
        "type": kind,
        "kv": after,
        "previous": kv_json(event.prev_kv) if event.HasField("prev_kv") else None,
    }


def _kind(event: Message) -> str:
    return "DELETE" if event.type else "PUT"


class _Bare:
    """Text that is printed without quotes."""

    def __init__(self, text_: str) -> None:
        self._text = text_

    def __str__(self) -> str:
        return self._text
