"""Envoy's health discovery service over TLS: everybody is told and says something of themselves alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
import structlog
from envoy.service.health.v3 import hds_pb2, hds_pb2_grpc

from api.services.health_discovery import SERVICE, HealthService
from storage.memory import MemoryStore
from tests.lab.eventually import eventually
from tests.registration.making import NOW, Daemon, Table, claim, probed, proof
from tests.server.hand import HandMesh
from tests.server.secure import A, B, Secure, secured
from xdsd.model.registered import HEALTH, ProbeResult
from xdsd.registration.probes import CLUSTER
from xdsd.registration.registrar import Registrar
from xdsd.server.quotas import BURST, Limit, Rates
from xdsd.server.turns import Turns

HEALTHY = 1


@dataclass
class House:
    """A server that knows one machine, of the service account a; ``heard`` are the reports that were taken."""

    secure: Secure
    registrar: Registrar
    node: str
    heard: list[tuple[str, ProbeResult]]


@asynccontextmanager
async def house(most: int = 10) -> AsyncIterator[House]:
    """While it lasts."""
    table = Table()
    table.put(probed("a", timeoutSeconds=1))
    daemon = Daemon(table, "one")
    machine = claim(of="a", by=proof("a"))
    daemon.arrives(machine)
    daemon.settle()
    registrar = Registrar(
        MemoryStore(),
        daemon.roll,
        structlog.get_logger(),
        grace=30,
        tell=lambda _: None,
        networks=lambda _: (),
    )
    heard: list[tuple[str, ProbeResult]] = []

    def reported(node: str, identity: str, result: ProbeResult) -> None:
        if daemon.roll.reported(node, identity, result, NOW):
            heard.append((node, result))

    registrar.reported = reported  # type: ignore[method-assign]  # it would wait for its loop

    turns = Turns(Limit.REQUESTS, "reports", Rates(1, lambda: 0.0), structlog.get_logger(), lambda _: None)

    def prepare(secure: Secure) -> None:
        secure.server.also_serve_tls(SERVICE, HealthService(secure.gate, registrar, most, turns).handler())

    async with secured(HandMesh(), prepare=prepare) as secure:
        yield House(secure, registrar, machine.node, heard)


def hello(node: str) -> Any:
    made = hds_pb2.HealthCheckRequestOrEndpointHealthResponse()
    made.health_check_request.node.id = node
    return made


def report() -> Any:
    made = hds_pb2.HealthCheckRequestOrEndpointHealthResponse()
    cluster = made.endpoint_health_response.cluster_endpoints_health.add(cluster_name=CLUSTER)
    cluster.locality_endpoints_health.add().endpoints_health.add(health_status=HEALTHY)
    return made


async def opened(channel: grpc.aio.Channel, token: str) -> Any:
    stub = hds_pb2_grpc.HealthDiscoveryServiceStub(channel)
    return stub.StreamHealthCheck(metadata=(("authorization", f"Bearer {token}"),), timeout=60)


async def test_a_machine_is_told_what_to_ask_and_heard() -> None:
    """The specifier is of its group's probe, and what it reports is taken."""
    async with house() as here, here.secure.by_token() as channel:
        call = await opened(channel, await here.secure.token(A))
        await call.write(hello(here.node))
        told = await call.read()
        assert told.cluster_health_checks[0].health_checks[0].HasField("tcp_health_check")
        await call.write(report())
        await eventually(lambda: here.heard == [(here.node, ProbeResult.HEALTHY)], "it is heard")
        call.cancel()


async def test_nobody_speaks_for_another() -> None:
    """Who proved another identity is told nothing of a machine, and not heard, whatever node it names."""
    async with house() as here, here.secure.by_token() as channel:
        other = await opened(channel, await here.secure.token(B))
        await other.write(hello(here.node))
        await other.write(report())
        await other.done_writing()
        assert await other.code() is grpc.StatusCode.OK  # all of it was read
        own = await opened(channel, await here.secure.token(A))
        await own.write(hello(here.node))
        await own.read()
        assert here.heard == []
        (entry,) = here.registrar.roll.machine(here.node, str(claim(of="a", by=proof("a")).identity))
        assert entry.obj.metadata.annotations[HEALTH] == "unknown"
        own.cancel()


async def test_who_proves_nothing_or_says_nothing_is_turned_away() -> None:
    """Without a token, without a node, and beyond the limit of streams."""
    async with house(most=1) as here, here.secure.by_token() as channel:
        call = await opened(channel, "none")
        assert await call.code() is grpc.StatusCode.UNAUTHENTICATED
        token = await here.secure.token(A)
        call = await opened(channel, token)
        await call.write(report())
        assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
        first = await opened(channel, token)
        await first.write(hello(here.node))
        await first.read()
        second = await opened(channel, token)
        assert await second.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "max-streams-per-identity" in await second.details()
        first.cancel()


async def test_who_reports_too_often_is_ended() -> None:
    """A machine's stream that reports more than its share ends with the name of the setting."""
    async with house() as here, here.secure.by_token() as channel:
        call = await opened(channel, await here.secure.token(A))
        await call.write(hello(here.node))
        await call.read()  # what to probe
        for _ in range(int(BURST) + 1):
            await call.write(report())
        with pytest.raises(grpc.aio.AioRpcError, match="the daemon's setting max-request-rate") as caught:
            await call.read()
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
