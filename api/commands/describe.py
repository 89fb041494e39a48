"""``xdsctl describe``: all that is known of a service or a workload, and who says it."""

from collections.abc import Iterable, Sequence
from typing import Any

import click

from api.client import Client
from api.commands.catalog import endpoint_json, numbers, pairs, service_json, workload_json
from api.commands.connection import Connection, pass_connection
from api.commands.output import DataFormat, print_data, table_lines
from api.commands.problems import problem_json, sentence
from api.commands.waiting import tell_of_waiting
from api.kinds import CatalogKind, UnknownKindError, find_catalog_kind, find_kind
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.wire import problem_from_wire, ref_from_wire

_BASES = {
    "protocol": "declared",
    "name": "by the port's name",
    "appProtocol": "by its appProtocol",
    "": "not declared",
}


_CALLERS = {
    "Local": "reach the endpoints on their own node alone (internalTrafficPolicy: Local)",
    "PreferSameNode": "prefer their own node, then what is near (trafficDistribution: PreferSameNode)",
    "PreferSameZone": "prefer their own zone, then their region (trafficDistribution: PreferSameZone)",
}


@click.command()
@click.argument("kind", metavar="service|workload")
@click.argument("name", metavar="HOST|NAME", required=False)
@click.option("-n", "--namespace", envvar="XDSCTL_NAMESPACE", default="default", show_default=True)
@click.option("-o", "--output", type=DataFormat, help="As data.")
@pass_connection
def describe(connection: Connection, kind: str, name: str | None, namespace: str, output: str | None) -> None:
    """Tell all that is known of a service or a workload: who says what, which objects concern it, what is wrong.

    It is named as in `service reviews` or `svc/reviews`.
    """
    kind, _, joined = kind.partition("/")
    wanted = _kind(kind)
    if bool(name) == bool(joined):
        raise click.UsageError(f"name one {wanted.singular}, such as {wanted.short_names[0]}/reviews")
    name = name or joined
    with connection.client() as client:
        try:
            if wanted.kind == "Service":
                _describe_service(client.describe_service(namespace, name), output)
            else:
                _describe_workloads(client, namespace, name, output)
        finally:
            tell_of_waiting(client)


def _kind(word: str) -> CatalogKind:
    found = find_catalog_kind(word)
    if found is not None and found.kind != "Endpoint":
        return found
    if found is not None:
        raise click.UsageError("endpoints are told of with their service: xdsctl describe service HOST")
    try:
        known = find_kind(word)
    except UnknownKindError as error:
        raise click.UsageError(str(error)) from error
    raise click.UsageError(
        f"services and workloads are described; for objects: xdsctl get {known.singular} NAME -o yaml"
    )


def _describe_service(found: pb.DescribeServiceResponse, output: str | None) -> None:
    problems = [problem_from_wire(each) for each in found.problems]
    if output:
        described: dict[str, Any] = {
            **service_json(found.service),
            "visibleTo": list(found.visible_to),
            "identities": list(found.identities),
            "endpointList": [endpoint_json(each) for each in found.endpoints],
            "objects": [{**ref_from_wire(each.ref)._asdict(), "how": each.how} for each in found.objects],
            "problems": [problem_json(each) for each in problems],
        }
        print_data(described, output)
        return
    service = found.service
    _facts(
        (
            ("Name", service.host),
            ("Namespace", service.namespace),
            ("Sources", ", ".join(service.sources)),
            ("Location", service.location),
            ("Resolution", service.resolution),
            ("Addresses", ", ".join(map(_address, service.addresses)) or "none"),
            ("Visible to", _visible(found.visible_to)),
            ("Selector", pairs(service.selector) if service.selector else "none; endpoints are listed"),
            ("Identities", ", ".join(found.identities) or "not declared"),
            ("Names", ", ".join(service.subject_alt_names)),
            ("Callers", _CALLERS.get(service.spread, service.spread)),
        )
    )
    columns = ("NUMBER", "NAME", "PROTOCOL", "BECAUSE", "TARGET", "SOURCES")
    ports = [
        (
            str(port.number),
            port.name,
            port.protocol,
            _BASES.get(port.basis, port.basis),
            _targets(port, found.endpoints),
            ", ".join(port.sources),
        )
        for port in service.ports
    ]
    _section("Ports", columns, ports)
    _section("Endpoints", _ENDPOINT_COLUMNS, [_endpoint_row(each) for each in found.endpoints])
    objects = [(each.ref.kind, f"{each.ref.namespace}/{each.ref.name}", each.how) for each in found.objects]
    _section("Objects", ("KIND", "NAME", "HOW"), objects)
    _problems(map(sentence, problems))


_ENDPOINT_COLUMNS = (
    "ADDRESS",
    "PORTS",
    "HEALTH",
    "LOCALITY",
    "NETWORK",
    "WEIGHT",
    "ACCOUNT",
    "WORKLOAD",
    "NODE",
    "SOURCES",
)


def _endpoint_row(each: pb.CatalogEndpoint) -> tuple[str, ...]:
    said = f" ({', '.join(each.health_sources)})" if each.health_sources and len(each.sources) > 1 else ""
    return (
        each.address,
        numbers(each.ports),
        f"{each.health}{said}",
        each.locality or "-",
        each.network or "-",
        str(each.weight),
        each.service_account or "-",
        each.workload or "-",
        each.node or "-",
        ", ".join(each.sources),
    )


def _describe_workloads(client: Client, namespace: str, name: str, output: str | None) -> None:
    """Sources may name workloads alike, so there may be several."""
    found = list(client.workloads(pb.ListCatalogRequest(namespace=namespace, name=name)))
    if not found:
        raise click.ClickException(
            f"there is no workload {name} in namespace {namespace}; `xdsctl get workloads -A` lists all"
        )
    if output:
        items = [workload_json(each) for each in found]
        print_data(
            items[0] if len(items) == 1 else {"apiVersion": "v1", "kind": "List", "items": items}, output
        )
        return
    for number, each in enumerate(found):
        if number:
            click.echo()
        _facts(
            (
                ("Name", each.name),
                ("Namespace", each.namespace),
                ("Source", each.source),
                ("Address", each.address),
                ("Ports", numbers(each.ports) if each.ports else "as the services say"),
                ("Labels", pairs(each.labels)),
                ("Health", each.health),
                ("Locality", each.locality or "not declared"),
                ("Node", each.node or "not declared"),
                ("Network", each.network or "not declared"),
                ("Weight", str(each.weight)),
                ("Account", each.service_account or "not declared"),
                ("Services", ", ".join(each.services) or "none selects it"),
            )
        )


def _facts(facts: Iterable[tuple[str, str]]) -> None:
    for title, text in facts:
        if text:
            click.echo(f"{title + ':':<13}{text}")


def _section(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        click.echo(f"{title + ':':<13}none")
        return
    click.echo(f"{title}:")
    for line in table_lines(columns, rows):
        click.echo(f"  {line.plain}")


def _problems(told: Iterable[str]) -> None:
    lines = list(told)
    click.echo("Problems:" if lines else "Problems:    none")
    for line in lines:
        click.echo(f"  {line}")


def _targets(port: pb.CatalogPort, endpoints: Iterable[pb.CatalogEndpoint]) -> str:
    """Where endpoints listen for a port; what is declared, while there is none that says."""
    found = sorted({each.ports[port.name] for each in endpoints if port.name in each.ports})
    return ",".join(map(str, found)) or str(port.target)


def _address(each: pb.CatalogAddress) -> str:
    return f"{each.address} ({', '.join(each.sources) or 'given by the mesh'})"


def _visible(namespaces: Sequence[str]) -> str:
    if "*" in namespaces:
        return "all namespaces"
    return ", ".join(namespaces) or "nobody"
