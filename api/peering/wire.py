"""What peers tell each other, between values and messages. What cannot be read raises Unreadable, before anything is
taken.
"""

from collections.abc import Iterable

from api.proto.xdsd.peer.v1 import peering_pb2 as pb
from xdsd.model.catalog import Protocol
from xdsd.peering.values import (
    Begin,
    Gateway,
    Hello,
    Shared,
    SharedKey,
    SharedPort,
    Summary,
    Update,
    Wanted,
)

MAX_MESSAGE = 16 << 20
"""Bytes of a message that are taken."""
MAX_ENTRIES = 1000
"""Services in a message that are taken: nobody's message is to hold up others for long."""
_LONGEST = 256


class Unreadable(ValueError):  # noqa: N818 - it is named after what is the matter
    """A message that means nothing here."""


def hello_message(hello: Hello) -> pb.SubscribeRequest:
    """How a subscription begins."""
    wanted = (pb.Wanted(namespaces=each.namespaces, names=each.names) for each in hello.wanted)
    told = pb.Hello(mesh=hello.mesh, wanted=wanted, epoch=hello.epoch, generation=hello.generation)
    return pb.SubscribeRequest(hello=told)


def read_hello(message: pb.SubscribeRequest) -> Hello:
    """Raises Unreadable."""
    if message.WhichOneof("request") != "hello":
        raise Unreadable("a subscription begins with hello")
    told = message.hello
    wanted = tuple(Wanted(tuple(each.namespaces), tuple(each.names)) for each in told.wanted)
    if len(told.mesh) > _LONGEST or len(told.epoch) > _LONGEST:
        raise Unreadable("the hello has a name that is too long")
    return Hello(told.mesh, wanted, told.epoch, told.generation)


def begin_message(begin: Begin) -> pb.SubscribeResponse:
    """The first answer."""
    told = pb.Begin(
        mesh=begin.mesh, trust_domain=begin.trust_domain, epoch=begin.epoch, resumed=begin.resumed
    )
    return pb.SubscribeResponse(begin=told)


def read_begin(message: pb.SubscribeResponse) -> Begin:
    """Raises Unreadable."""
    if message.WhichOneof("response") != "begin":
        raise Unreadable("an answer begins with begin")
    told = message.begin
    return Begin(told.mesh, told.trust_domain, told.epoch, told.resumed)


def update_message(update: Update) -> pb.SubscribeResponse:
    """A further answer."""
    told = pb.Update(
        generation=update.generation,
        complete=update.complete,
        services=map(service_message, update.services),
        health=(pb.Health(key=_key(key), summaries=_summaries(found)) for key, found in update.health),
        removed=map(_key, update.removed),
    )
    if update.gateways is not None:
        told.gateways.gateways.extend(map(_gateway, update.gateways))
        told.gateways.SetInParent()
    if update.bundle is not None:
        told.bundle = update.bundle
    return pb.SubscribeResponse(update=told)


def read_update(message: pb.SubscribeResponse, most: int = MAX_ENTRIES) -> Update:
    """An update about so many services at most. Raises Unreadable."""
    if message.WhichOneof("response") != "update":
        raise Unreadable("after begin there are updates alone")
    told = message.update
    entries = len(told.services) + len(told.health) + len(told.removed)
    if entries > most:
        raise Unreadable(f"an update is about {entries} services; {most} are allowed, more make more updates")
    return Update(
        told.generation,
        told.complete,
        tuple(map(read_service, told.services)),
        tuple((_read_key(each.key), _read_summaries(each.summaries)) for each in told.health),
        tuple(map(_read_key, told.removed)),
        tuple(Gateway(each.address, each.port, each.locality) for each in told.gateways.gateways)
        if told.HasField("gateways")
        else None,
        told.bundle if told.HasField("bundle") else None,
    )


def service_message(shared: Shared) -> pb.Service:
    """A service."""
    ports = (
        pb.Port(number=each.number, name=each.name, protocol=each.protocol.value) for each in shared.ports
    )
    return pb.Service(
        key=_key(shared.key),
        ports=ports,
        identities=shared.identities,
        summaries=_summaries(shared.summaries),
    )


def read_service(message: pb.Service) -> Shared:
    """Raises Unreadable."""
    return Shared(
        _read_key(message.key),
        tuple(SharedPort(each.number, each.name, _read_protocol(each.protocol)) for each in message.ports),
        tuple(message.identities),
        _read_summaries(message.summaries),
    )


def _key(key: SharedKey) -> pb.Key:
    return pb.Key(namespace=key.namespace, name=key.name)


def _read_key(message: pb.Key) -> SharedKey:
    return SharedKey(message.namespace, message.name)


def _summaries(summaries: Iterable[Summary]) -> list[pb.Summary]:
    return [
        pb.Summary(locality=each.locality, healthy=each.healthy, total=each.total, weight=each.weight)
        for each in summaries
    ]


def _read_summaries(messages: Iterable[pb.Summary]) -> tuple[Summary, ...]:
    return tuple(Summary(each.locality, each.healthy, each.total, each.weight) for each in messages)


def _gateway(gateway: Gateway) -> pb.Gateway:
    return pb.Gateway(address=gateway.address, port=gateway.port, locality=gateway.locality)


def _read_protocol(text: str) -> Protocol:
    """One that a later version may know is treated as bytes."""
    try:
        return Protocol(text)
    except ValueError:
        return Protocol.TCP
