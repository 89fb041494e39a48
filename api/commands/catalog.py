"""Services, endpoints and workloads, which registries report, as ``xdsctl get`` prints them."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import click

from api.client import Client
from api.commands.connection import Connection
from api.commands.interrupt import watching
from api.commands.output import print_data, print_table, to_yaml
from api.commands.tables import age, now
from api.commands.waiting import tell_of_waiting
from api.kinds import CatalogKind
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from xdsd.model.intent.kinds import CATALOG

Json = dict[str, Any]  # a thing of the catalog

_EVERY = 1.0
"""Seconds between two looks of a watch."""

_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "Service": ("PORTS", "ENDPOINTS", "SOURCES", "AGE"),
    "Endpoint": ("ADDRESS", "PORTS", "HEALTH", "SOURCES"),
    "Workload": ("ADDRESS", "HEALTH", "SERVICES", "SOURCE"),
}
_WIDE: Mapping[str, tuple[str, ...]] = {
    "Service": ("ADDRESSES", "RESOLUTION", "LOCATION", "EXPORTED-TO", "SELECTOR"),
    "Endpoint": ("WORKLOAD", "LOCALITY", "NETWORK", "WEIGHT", "SERVICE-ACCOUNT", "LABELS"),
    "Workload": ("PORTS", "LOCALITY", "NETWORK", "WEIGHT", "SERVICE-ACCOUNT", "LABELS"),
}


@dataclass(frozen=True, slots=True)
class CatalogView:
    """How things of one kind are printed; ``namespace`` empty: of all. With ``many`` kinds names say theirs."""

    kind: CatalogKind
    output: str | None
    namespace: str
    header: bool
    many: bool = False

    def print_list(self, items: Sequence[Json], *, single: bool = False) -> None:
        if self.output in {"json", "yaml"}:
            listed = {"apiVersion": "v1", "kind": "List", "items": list(items)}
            print_data(items[0] if single and len(items) == 1 else listed, self.output)
        elif self.output == "name":
            for item in items:
                click.echo(self.qualified(item))
        elif items:
            self.table(items)
        else:
            where = f" in {self.namespace} namespace" if self.namespace else ""
            click.echo(f"No {self.kind.plural} found{where}.", err=True)

    def table(self, items: Sequence[Json], events: Sequence[str] = (), *, header: bool = True) -> None:
        """A table; ``events`` become its first column."""
        wide = self.output == "wide"
        titles = ("NAME", *_COLUMNS[self.kind.kind], *(_WIDE[self.kind.kind] if wide else ()))
        titles = titles if self.namespace else ("NAMESPACE", *titles)
        rows = [self._row(item, wide=wide) for item in items]
        if events:
            titles = ("EVENT", *titles)
            rows = [(event, *cells) for event, cells in zip(events, rows, strict=True)]
        print_table(titles, rows, header=header and self.header)

    def qualified(self, item: Json) -> str:
        """``service.catalog.xdsd.io/HOST``; an endpoint is told apart by its address."""
        more = f"/{item['address']}" if self.kind.kind == "Endpoint" else ""
        return f"{self.kind.singular}.{CATALOG}/{item['metadata']['name']}{more}"

    def event(self, event: str, item: Json) -> None:
        """A change, in an output for programs."""
        if self.output == "json":
            click.echo(json.dumps({"type": event, "object": item}, ensure_ascii=False))
        elif self.output == "yaml":
            click.echo(f"---\n{to_yaml({'type': event, 'object': item})}")
        else:
            click.echo(f"{event} {self.qualified(item)}")

    def _row(self, item: Json, *, wide: bool) -> tuple[str, ...]:
        cells = _CELLS[self.kind.kind](item)
        own = len(_COLUMNS[self.kind.kind])
        name = (
            f"{self.kind.singular}.{CATALOG}/{item['metadata']['name']}"
            if self.many
            else item["metadata"]["name"]
        )
        shown = (name, *(cells if wide else cells[:own]))
        return shown if self.namespace else (item["metadata"]["namespace"], *shown)


def get_catalog(
    connection: Connection, view: CatalogView, names: Sequence[str], selector: str, *, watch: bool
) -> None:
    """Prints what there is of a kind, or of those that are named."""
    if names and not view.namespace:
        raise click.UsageError("a name is of one namespace: use -n NAMESPACE instead of -A")
    if names and selector:
        raise click.UsageError("a name and a selector exclude each other")
    check_selector(view.kind, selector)
    with connection.client() as client:
        tell_of_waiting(client)
        if watch:
            if len(names) > 1:
                raise click.UsageError("--watch follows one kind, or one thing of it")
            name = names[0] if names else ""

            def look() -> list[Json]:
                if name:
                    return _named(client, view, name)
                return listed(client, view.kind, view.namespace, "", selector)

            _watch(look, view)
            return
        if not names:
            view.print_list(listed(client, view.kind, view.namespace, "", selector))
            return
        found: list[Json] = []
        for name in names:
            items = _named(client, view, name)
            if not items and (view.kind.kind != "Endpoint" or not _is_service(client, view.namespace, name)):
                raise click.ClickException(
                    f'{view.kind.plural}.{CATALOG} "{name}" not found in namespace {view.namespace}; '
                    f"`xdsctl get {view.kind.plural} -A` lists all"
                )
            found += items
        view.print_list(found, single=view.kind.kind != "Endpoint")


def check_selector(kind: CatalogKind, selector: str) -> None:
    """Refuses to select what has no labels."""
    if selector and kind.kind == "Service":
        raise click.UsageError("services have no labels; select endpoints or workloads")


def _named(client: Client, view: CatalogView, name: str) -> list[Json]:
    """What is called so; endpoints by the host of their service, or by their address."""
    if view.kind.kind == "Endpoint" and _is_address(name):
        found = listed(client, view.kind, view.namespace, "", "")
        return [each for each in found if each["address"] == name]
    return listed(client, view.kind, view.namespace, name, "")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def listed(client: Client, kind: CatalogKind, namespace: str, name: str, selector: str) -> list[Json]:
    """The things of a kind as data."""
    wanted = pb.ListCatalogRequest(namespace=namespace, name=name, label_selector=selector)
    if kind.kind == "Service":
        return [service_json(each) for each in client.services(wanted)]
    if kind.kind == "Endpoint":
        return [endpoint_json(each) for each in client.endpoints(wanted)]
    return [workload_json(each) for each in client.workloads(wanted)]


def service_json(service: pb.CatalogService) -> Json:
    """A service as data; the names are stable."""
    return {
        **_envelope("Service", service.namespace, service.host, service.created),
        "ports": [
            {
                "number": port.number,
                "name": port.name,
                "protocol": port.protocol,
                "basis": port.basis,
                "targetPort": port.target,
                "sources": list(port.sources),
            }
            for port in service.ports
        ],
        "addresses": [{"address": each.address, "sources": list(each.sources)} for each in service.addresses],
        "resolution": service.resolution,
        "location": service.location,
        "exportTo": list(service.export_to),
        "selector": dict(service.selector),
        "subjectAltNames": list(service.subject_alt_names),
        "spread": service.spread,
        "endpoints": {"total": service.endpoints, "healthy": service.healthy},
        "sources": list(service.sources),
    }


def endpoint_json(endpoint: pb.CatalogEndpoint) -> Json:
    """An endpoint as data; the names are stable."""
    return {
        **_envelope("Endpoint", endpoint.namespace, endpoint.host),
        **_about(endpoint),
        "workload": endpoint.workload,
        "sources": list(endpoint.sources),
        "healthSources": list(endpoint.health_sources),
    }


def workload_json(workload: pb.CatalogWorkload) -> Json:
    """A workload as data; the names are stable."""
    return {
        **_envelope("Workload", workload.namespace, workload.name),
        **_about(workload),
        "services": list(workload.services),
        "source": workload.source,
    }


def pairs(values: Mapping[str, object]) -> str:
    """``a=b,c=d``."""
    return ",".join(f"{key}={value}" for key, value in sorted(values.items())) or "<none>"


def numbers(ports: Mapping[str, int]) -> str:
    """``http=8080,9090``: the ports of an endpoint; one that has no name is its number."""
    return ",".join(f"{name}={at}" if name else str(at) for name, at in sorted(ports.items())) or "<none>"


def _about(each: pb.CatalogEndpoint | pb.CatalogWorkload) -> Json:
    return {
        "address": each.address,
        "ports": dict(sorted(each.ports.items())),
        "health": each.health,
        "labels": dict(sorted(each.labels.items())),
        "locality": each.locality,
        "network": each.network,
        "weight": each.weight,
        "serviceAccount": each.service_account,
        "node": each.node,
    }


def _envelope(kind: str, namespace: str, name: str, created: str = "") -> Json:
    metadata = {"name": name, "namespace": namespace}
    if created:
        metadata["creationTimestamp"] = created
    return {"apiVersion": f"{CATALOG}/v1", "kind": kind, "metadata": metadata}


def _service_cells(item: Json) -> tuple[str, ...]:
    endpoints = item["endpoints"]
    created = item["metadata"].get("creationTimestamp", "")
    return (
        ",".join(f"{port['number']}/{port['protocol']}" for port in item["ports"]) or "<none>",
        f"{endpoints['healthy']}/{endpoints['total']}",
        ",".join(item["sources"]),
        age(created, now()) if created else "-",
        ",".join(each["address"] for each in item["addresses"]) or "<none>",
        item["resolution"],
        item["location"],
        ",".join(item["exportTo"]) or "-",
        pairs(item["selector"]),
    )


def _endpoint_cells(item: Json) -> tuple[str, ...]:
    return (
        item["address"],
        numbers(item["ports"]),
        item["health"],
        ",".join(item["sources"]),
        item["workload"] or "-",
        *_more_cells(item),
    )


def _workload_cells(item: Json) -> tuple[str, ...]:
    return (
        item["address"],
        item["health"],
        ",".join(item["services"]) or "<none>",
        item["source"],
        numbers(item["ports"]),
        *_more_cells(item),
    )


def _more_cells(item: Json) -> tuple[str, ...]:
    return (
        item["locality"] or "-",
        item["network"] or "-",
        str(item["weight"]),
        item["serviceAccount"] or "-",
        pairs(item["labels"]),
    )


_CELLS: Mapping[str, Callable[[Json], tuple[str, ...]]] = {
    "Service": _service_cells,
    "Endpoint": _endpoint_cells,
    "Workload": _workload_cells,
}


def _is_service(client: Client, namespace: str, name: str) -> bool:
    return bool(client.services(pb.ListCatalogRequest(namespace=namespace, name=name)))


def _watch(look: Callable[[], Sequence[Json]], view: CatalogView) -> None:
    """What is there as one table, then a line or document a change, until interrupted."""
    known: dict[str, Json] = {}
    plain = view.output not in {"json", "yaml", "name"}
    header = True
    with watching():
        while True:
            changes = list(_changes(known, {_identity(item): item for item in look()}))
            if changes and plain:
                events, items = zip(*changes, strict=True)
                view.table(items, events, header=header)
                header = False
            elif not plain:
                for event, item in changes:
                    view.event(event, item)
            time.sleep(_EVERY)


def _changes(known: dict[str, Json], found: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    """What differs from what is known, which is brought up to date."""
    for identity in [each for each in known if each not in found]:
        yield "DELETED", known.pop(identity)
    for identity, item in found.items():
        if identity not in known:
            yield "ADDED", item
        elif known[identity] != item:
            yield "MODIFIED", item
        known[identity] = item


def _identity(item: Json) -> str:
    metadata = item["metadata"]
    own = [item.get(word, "") for word in ("source", "address", "network")] if "address" in item else []
    ports = [pairs(item["ports"])] if own else []
    return "\n".join((metadata["namespace"], metadata["name"], *own, *ports))
