"""``xdsctl config``: what one proxy is served, as tables like istioctl's or whole."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

import click
from google.protobuf.descriptor_pool import DescriptorPool

from api.client import Client
from api.commands.connection import Connection, pass_connection
from api.commands.hints import HintedGroup
from api.commands.output import print_data, print_table
from api.config_tables import (
    CLUSTERS,
    ENDPOINTS,
    LISTENERS,
    NAMES,
    ROUTES,
    Table,
    cluster_rows,
    discovered_routes,
    endpoint_rows,
    inline_routes,
    listener_rows,
    matching,
    name_rows,
    route_rows,
)
from api.decode import decode, lazy_pool, to_json
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from xdsd.snapshot import CLUSTER, ENDPOINT, LISTENER, ROUTE, VIRTUAL_HOST

_output = click.option(
    "-o", "--output", type=click.Choice(["json", "yaml", "wide"]), help="Data, or more columns."
)
_node = click.argument("node")


@click.group(cls=HintedGroup)
def config() -> None:
    """Show what a proxy is served. NODE is a node id, name.namespace, or a name where it is unique."""


@config.command()
@_node
@click.option("--fqdn", default="", help="Only of this host.")
@click.option("--port", default="", help="Only of this port.")
@click.option("--subset", default="", help="Only this subset.")
@click.option("--direction", default="", help="inbound or outbound.")
@_output
@pass_connection
def cluster(
    connection: Connection, node: str, fqdn: str, port: str, subset: str, direction: str, output: str | None
) -> None:
    """Clusters."""
    pool = lazy_pool()
    with connection.client() as client:
        resources = _dump(client, node, CLUSTER)
    wanted = {"SERVICE FQDN": fqdn, "PORT": port, "SUBSET": subset, "DIRECTION": direction}
    rows = matching(cluster_rows(_messages(resources, pool)), CLUSTERS, wanted)
    _print(CLUSTERS, rows, resources, {row[-1] for row in rows}, output, pool)


@config.command()
@_node
@click.option("--address", default="", help="Only at this address.")
@click.option("--port", default="", help="Only at this port.")
@click.option("--name", default="", help="Only of this name.")
@_output
@pass_connection
def listener(
    connection: Connection, node: str, address: str, port: str, name: str, output: str | None
) -> None:
    """Listeners, a line for each filter chain."""
    pool = lazy_pool()
    with connection.client() as client:
        resources = _dump(client, node, LISTENER)
    found = listener_rows(_messages(resources, pool), lambda message: decode(message, pool))
    rows = matching(found, LISTENERS, {"ADDRESS": address, "PORT": port, "LISTENER": name})
    _print(LISTENERS, rows, resources, {row[-1] for row in rows}, output, pool)


@config.command()
@_node
@click.option("--name", default="", help="Only of this route table.")
@click.option("--vhost", default="", help="Only of this virtual host.")
@_output
@pass_connection
def route(connection: Connection, node: str, name: str, vhost: str, output: str | None) -> None:
    """Routes, those inside listeners too. `-o json` shows the route tables and virtual hosts that are resources."""
    pool = lazy_pool()
    with connection.client() as client:
        resources = [*_dump(client, node, ROUTE), *_dump(client, node, VIRTUAL_HOST)]
        listeners = [] if output in {"json", "yaml"} else _dump(client, node, LISTENER)
    inline = inline_routes(_messages(listeners, pool), lambda message: decode(message, pool))
    tables = _messages([each for each in resources if each.resource.type_url == ROUTE], pool)
    hosts = _messages([each for each in resources if each.resource.type_url == VIRTUAL_HOST], pool)
    found = [*route_rows(discovered_routes(tables, hosts)), *route_rows(inline)]
    rows = matching(found, ROUTES, {"NAME": name, "VHOST NAME": vhost})
    names = {row[0] for row in rows} | {f"{row[0]}/{row[1]}" for row in rows}
    _print(ROUTES, rows, resources, names, output, pool)


@config.command()
@_node
@click.option("--cluster", "cluster_name", default="", help="Only of this cluster.")
@click.option("--address", default="", help="Only this ADDRESS:PORT.")
@click.option("--status", default="", help="healthy, degraded, unhealthy or draining.")
@_output
@pass_connection
def endpoint(
    connection: Connection, node: str, cluster_name: str, address: str, status: str, output: str | None
) -> None:
    """Endpoints of clusters that find them by xDS."""
    pool = lazy_pool()
    with connection.client() as client:
        resources = _dump(client, node, ENDPOINT)
    wanted = {"CLUSTER": cluster_name, "ENDPOINT": address, "STATUS": status}
    rows = matching(endpoint_rows(_messages(resources, pool)), ENDPOINTS, wanted)
    _print(
        ENDPOINTS,
        rows,
        resources,
        {row[2] for row in rows},
        output,
        pool,
        unfiltered=not any(wanted.values()),
    )


@config.command()
@_node
@click.option("--name", default="", help="Only this name, as programs ask for it.")
@_output
@pass_connection
def dns(connection: Connection, node: str, name: str, output: str | None) -> None:
    """Names that a sidecar answers for itself, and their addresses; none unless it captures DNS."""
    pool = lazy_pool()
    with connection.client() as client:
        resources = _dump(client, node, LISTENER)
    found = name_rows(_messages(resources, pool), lambda message: decode(message, pool))
    rows = matching(found, NAMES, {"NAME": name})
    if output in {"json", "yaml"}:
        print_data([{"name": each, "addresses": addresses.split(",")} for each, addresses in rows], output)
    else:
        print_table(NAMES.columns, rows)


@config.command()
@_node
@_output
@pass_connection
def secret(connection: Connection, node: str, output: str | None) -> None:
    """Certificates that a proxy was given, and the authorities that it trusts. Keys are shown to nobody.

    An authority of another trust domain vouches for that alone; -o wide tells which.
    """
    with connection.client() as client:
        found = client.secrets(node).secrets
    if output in {"json", "yaml"}:
        print_data([_certificate(each) for each in found], output)
        return
    wide = output == "wide"
    columns = ["NAME", "SUBJECT", "VALID UNTIL", "RENEWAL", "SERIAL", "FINGERPRINT"]
    columns += ["VOUCHES FOR"] if wide else []
    rows = [
        (
            each.name,
            each.subject,
            _moment(each.ends),
            _moment(each.renewal) if each.HasField("renewal") else "-",
            each.serial,
            each.fingerprint if wide else _short(each.fingerprint),
            *((each.trust_domain or "-",) if wide else ()),
        )
        for each in found
    ]
    print_table(columns, rows)


def _certificate(status: pb.SecretStatus) -> dict[str, str]:
    """A certificate as data."""
    return {
        "name": status.name,
        "subject": status.subject,
        "serial": status.serial,
        "fingerprint": status.fingerprint,
        "validFrom": _moment(status.begins),
        "validUntil": _moment(status.ends),
        **({"trustDomain": status.trust_domain} if status.trust_domain else {}),
        **({"renewal": _moment(status.renewal)} if status.HasField("renewal") else {}),
    }


def _short(digits: str) -> str:
    return digits if len(digits) <= 12 else f"{digits[:12]}…"


def _moment(stamp: Any) -> str:
    """A time of the wire, which is Any by nature, to the second."""
    text: str = stamp.ToDatetime(UTC).isoformat(timespec="seconds")
    return text


def _dump(client: Client, node: str, type_url: str) -> Sequence[pb.ConfigResource]:
    return client.dump_config(node, type_url).resources


def _messages(resources: Sequence[pb.ConfigResource], pool: DescriptorPool) -> list[Any]:
    """Envoy's messages; Any, as their classes are generated."""
    return [decode(resource.resource, pool) for resource in resources]


def _print(
    table: Table,
    rows: Sequence[tuple[str, ...]],
    resources: Sequence[pb.ConfigResource],
    names: set[str],
    output: str | None,
    pool: DescriptorPool,
    *,
    unfiltered: bool = False,
) -> None:
    """The rows, or the resources that they come from."""
    if output in {"json", "yaml"}:
        shown = [resource for resource in resources if unfiltered or resource.name in names]
        print_data([_json(resource, pool) for resource in shown], output)
        return
    width = len(table.columns) if output == "wide" else table.narrow
    print_table(table.columns[:width], list(dict.fromkeys(row[:width] for row in rows)))


def _json(resource: pb.ConfigResource, pool: DescriptorPool) -> Mapping[str, Any]:
    return {"name": resource.name, "version": resource.version, "resource": to_json(resource.resource, pool)}
