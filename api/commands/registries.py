"""``xdsctl registries``: where the catalog comes from, and how each of its sources is."""

import json
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import click

from api.client import Client
from api.commands.connection import Connection, pass_connection
from api.commands.interrupt import watching
from api.commands.output import print_data, print_table, to_yaml
from api.commands.tables import duration, now
from api.proto.xdsd.admin.v1 import admin_pb2 as pb

_EVERY = 1.0
"""Seconds between two looks of a watch."""


@click.command()
@click.argument("name", required=False)
@click.option("-o", "--output", type=click.Choice(["json", "yaml", "wide"]), help="Data, or more columns.")
@click.option("-w", "--watch", is_flag=True, help="Stay and print every change of a state until interrupted.")
@click.option("--no-headers", is_flag=True, help="The table without its first line.")
@pass_connection
def registries(
    connection: Connection, name: str | None, output: str | None, watch: bool, no_headers: bool
) -> None:
    """List the sources of services and objects: SYNCING, SYNCED, STALE or HOLDING and since when, or MISSING.

    What a stale source said last holds until it can be asked again; one that is holding came back without what it had, which
    is kept for a while (`xdsctl problems` says how much and until when); one that is missing has not said anything, and is
    waited for no longer. With NAME only that source. Ends with 1 where one of
    them is not synced.
    """
    with connection.client() as client:
        found = _found(client, name)
        if name and not found:
            raise click.ClickException(
                f'there is no source "{name}"; `xdsctl registries` lists those that are'
            )
        if watch:
            _watch(lambda: _found(client, name), found, output, header=not no_headers)
            return
    if output in {"json", "yaml"}:
        print_data({"registries": [registry_json(each) for each in found]}, output)
    else:
        _table(found, wide=output == "wide", header=not no_headers)
        for each in found:
            if each.stale:
                click.echo(f"{each.name}: {each.stale}", err=True)
        waited = [each.name for each in found if each.state == "SYNCING"]
        if waited:
            click.echo(f"nothing is served yet: waiting for {', '.join(waited)}", err=True)
    if not all(each.state == "SYNCED" for each in found):
        click.get_current_context().exit(1)


def registry_json(registry: pb.RegistryStatus) -> dict[str, Any]:
    """A source as data; the names are stable."""
    return {
        "name": registry.name,
        "kind": registry.kind,
        "state": registry.state,
        "since": moment(registry, "since"),
        "synced": registry.synced,
        "stale": registry.stale,
        "lastSync": moment(registry, "last_sync"),
        "lastChange": moment(registry, "last_change"),
        "services": registry.services,
        "workloads": registry.workloads,
        "endpoints": registry.endpoints,
        "problems": registry.problems,
        "outages": registry.outages,
        "lastError": registry.last_error,
    }


def moment(registry: pb.RegistryStatus, field: str) -> str | None:
    """A time in text; None where it is not set."""
    return getattr(registry, field).ToJsonString() if registry.HasField(field) else None


def state_words(registry: pb.RegistryStatus) -> str:
    """``SYNCED``, or ``STALE since 3m20s``."""
    known = f" since {_ago(registry, 'since')}" if registry.state in {"STALE", "HOLDING"} else ""
    return f"{registry.state}{known}"


def _found(client: Client, name: str | None) -> list[pb.RegistryStatus]:
    return [each for each in client.registries() if name in {None, each.name, each.kind}]


def _watch(
    look: Callable[[], list[pb.RegistryStatus]],
    found: list[pb.RegistryStatus],
    output: str | None,
    *,
    header: bool,
) -> None:
    """What there is, then each source whose state, counts or error became another; a document a source as data."""
    known: dict[str, tuple[object, ...]] = {}
    with watching():
        while True:
            changed = [each for each in found if known.get(each.name) != _told(each)]
            known = {each.name: _told(each) for each in found}
            if output in {"json", "yaml"}:
                for each in changed:
                    data = registry_json(each)
                    click.echo(json.dumps(data) if output == "json" else f"---\n{to_yaml(data)}")
            elif changed:
                _table(changed, wide=output == "wide", header=header)
                header = False
            time.sleep(_EVERY)
            found = look()


def _told(each: pb.RegistryStatus) -> tuple[object, ...]:
    """What of a source a change is told of: times of success are not."""
    counts = (each.services, each.workloads, each.endpoints, each.problems, each.outages)
    return (each.state, each.stale, *counts)


def _table(found: Sequence[pb.RegistryStatus], *, wide: bool, header: bool = True) -> None:
    columns = (
        "NAME",
        "KIND",
        "STATE",
        "LAST-SYNC",
        "LAST-CHANGE",
        "SERVICES",
        "WORKLOADS",
        "ENDPOINTS",
        "PROBLEMS",
    )
    more = ("OUTAGES", "LAST-ERROR") if wide else ()
    rows = [
        (
            each.name,
            each.kind,
            state_words(each),
            _ago(each, "last_sync"),
            _ago(each, "last_change"),
            *(str(count) for count in (each.services, each.workloads, each.endpoints, each.problems)),
            *((str(each.outages), each.last_error or "-") if wide else ()),
        )
        for each in found
    ]
    print_table((*columns, *more), rows, header=header)


def _ago(registry: pb.RegistryStatus, field: str) -> str:
    text = moment(registry, field)
    return duration(now() - datetime.fromisoformat(text)) if text else "-"
