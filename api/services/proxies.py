"""Who is connected and what they are served: Proxies."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches

import grpc

from api.access.caller import Right, current
from api.ports import Mesh, Proxies
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from xdsd.model.node import SEPARATOR, instance
from xdsd.protocol.watch import State, TypeStatus
from xdsd.server.status import ProxyStatus
from xdsd.snapshot import SECRET, TYPES, Layer, Resource, Snapshot

Context = grpc.aio.ServicerContext[object, object]

_PROXIES_AT_ONCE = 100
_NAMED = 5  # of the resources that are rejected for one reason
_STATES = {
    State.NOT_SENT: pb.SYNC_STATE_NOT_SENT,
    State.SYNCED: pb.SYNC_STATE_SYNCED,
    State.STALE: pb.SYNC_STATE_STALE,
    State.NACKED: pb.SYNC_STATE_NACKED,
}


class ProxiesService:
    """xdsd.admin.v1.Proxies."""

    def __init__(self, mesh: Mesh, proxies: Proxies) -> None:
        self._mesh = mesh
        self._proxies = proxies

    async def List(  # noqa: N802
        self, _request: pb.ListProxiesRequest, _context: Context
    ) -> pb.ListProxiesResponse:
        current().require(Right.OBSERVE)
        by_node: dict[str, list[ProxyStatus]] = {}
        for status in self._proxies.status():
            by_node.setdefault(status.node.key, []).append(status)
        snapshot = self._mesh.snapshot
        response = pb.ListProxiesResponse()
        for number, (_, streams) in enumerate(sorted(by_node.items())):
            response.proxies.append(_proxy(streams, snapshot))
            if number % _PROXIES_AT_ONCE == 0:
                await asyncio.sleep(0)
        return response

    async def DumpConfig(self, request: pb.DumpConfigRequest, context: Context) -> pb.DumpConfigResponse:  # noqa: N802
        current().require(Right.OBSERVE)
        if request.type_url and request.type_url not in TYPES:
            known = ", ".join(TYPES)
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"{request.type_url} is not a type that proxies are served; there are {known}",
            )
        if request.type_url == SECRET:
            current().require(Right.SECRETS)
        snapshot = self._mesh.snapshot
        node = await self._one(request.node, context)
        response = pb.DumpConfigResponse(node_id=node, generation=snapshot.generation)
        for resource in served(snapshot, node, request.type_url):
            if resource.type_url == SECRET and not current().may(Right.SECRETS):
                continue  # asked for by name they are refused; among all types they are left out
            item = response.resources.add(name=resource.name, version=resource.version)
            item.resource.type_url = resource.type_url
            item.resource.value = resource.body
        return response

    async def ListSecrets(  # noqa: N802
        self, request: pb.ListSecretsRequest, context: Context
    ) -> pb.ListSecretsResponse:
        current().require(Right.OBSERVE)
        node = await self._one(request.node, context)
        response = pb.ListSecretsResponse(node_id=node)
        for status in self._proxies.secrets(node):
            item = response.secrets.add(
                name=status.name,
                subject=status.subject,
                serial=status.serial,
                fingerprint=status.fingerprint,
                trust_domain=status.trust_domain,
            )
            item.begins.FromDatetime(status.begins)
            item.ends.FromDatetime(status.ends)
            if status.renewal is not None:
                item.renewal.FromDatetime(status.renewal)
        return response

    async def _one(self, wanted: str, context: Context) -> str:
        """The key of the one node that is meant; ends the call where there is none or several."""
        nodes = self._mesh.snapshot.assigned
        found = find_nodes(wanted, nodes)
        if len(found) > 1:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"{wanted!r} may be any of {', '.join(found)}; use one of these",
            )
        if not found:
            await context.abort(grpc.StatusCode.NOT_FOUND, _unknown(wanted, nodes))
        return found[0]


def served(snapshot: Snapshot, node: str, type_url: str = "") -> Iterator[Resource]:
    """What a node is served, in the order of type and name."""
    layers = _layers(snapshot, node)
    for each in TYPES:
        if type_url in {"", each}:
            resources = (resource for layer in layers for resource in layer.resources(each).values())
            yield from sorted(resources, key=lambda resource: resource.name)


def _layers(snapshot: Snapshot, node: str) -> list[Layer]:
    return [snapshot.layers[layer] for layer in snapshot.assigned.get(node, ()) if layer in snapshot.layers]


def find_nodes(wanted: str, nodes: Iterable[str]) -> Sequence[str]:
    """The keys of nodes that ``wanted`` may mean: the key itself, else the id, ``name.namespace``, or the name."""
    ids = sorted(nodes)
    if wanted in ids:
        return [wanted]
    for said in (_id, instance, lambda node: instance(node).rpartition(".")[0]):
        found = [node for node in ids if said(node) == wanted]
        if found:
            return found
    return []


def _id(key: str) -> str:
    """A node's id, without the identity that it proved."""
    return key.partition(SEPARATOR)[0]


def _unknown(wanted: str, nodes: Iterable[str]) -> str:
    names = sorted({instance(node) for node in nodes})
    close = get_close_matches(wanted, names, n=1)
    if close:
        return f'proxy "{wanted}" is not known; did you mean {close[0]}?'
    return f'proxy "{wanted}" is not known; `xdsctl proxies` lists those that are'


def _proxy(streams: Sequence[ProxyStatus], snapshot: Snapshot) -> pb.ProxyStatus:
    """The streams of one node as one proxy; it is as old as its first stream."""
    first = max(streams, key=lambda stream: stream.since)
    node = first.node
    parts = node.id.split("~")
    role, address = (parts[0], parts[1]) if len(parts) == 4 else ("", "")
    name, _, namespace = instance(node.id).rpartition(".")
    proxy = pb.ProxyStatus(
        node_id=node.id,
        role=role,
        address=address,
        name=name or node.id,
        namespace=namespace,
        peer=first.peer,
        version=node.version,
        identity=str(node.identity or ""),
    )
    connected = datetime.now(UTC) - timedelta(seconds=first.since)
    proxy.connected.FromDatetime(connected.replace(microsecond=0))
    for stream in streams:
        proxy.types.extend(_type(status, node.key, snapshot) for status in stream.types)
    return proxy


def _type(status: TypeStatus, node: str, snapshot: Snapshot) -> pb.TypeStatus:
    return pb.TypeStatus(
        type_url=status.type_url,
        state=_STATES[status.state],
        error=_guilty(status) or status.error,
        resources=sum(1 for _ in served(snapshot, node, status.type_url))
        if status.wildcard
        else status.names,
    )


def _guilty(status: TypeStatus) -> str:
    """What is said of the resources that are rejected, the same words once."""
    said: dict[str, list[str]] = {}
    for each in status.rejected:
        if each.name:
            said.setdefault(each.message, []).append(each.name)
    return "; ".join(f"{_listed(names)}: {message}" for message, names in said.items())


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:_NAMED])} and {more} more"
