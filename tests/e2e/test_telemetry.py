"""What a real Envoy tells a collector that speaks OTLP, as Telemetry wants it."""

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.e2e.asking import thing
from tests.e2e.town import HOST, Town, town
from tests.lab.eventually import eventually
from tests.lab.ports import free_ports

pytestmark = pytest.mark.e2e

HOME = "eu"
INBOUND = "http://home.example.com:81"
OTLP = "opentelemetry.proto.collector"


class Collector:
    """Takes logs and spans: ``logs`` are names of logs with paths, ``spans`` attributes with those of their resource."""

    def __init__(self, port: int) -> None:
        self.logs: list[tuple[str, str]] = []
        self.spans: list[dict[str, str]] = []
        self._port = port
        self._server: Any = None  # grpc is untyped

    async def __aenter__(self) -> Self:
        self._server = grpc.aio.server()
        for service, method, request in (
            (f"{OTLP}.logs.v1.LogsService", self._take_logs, ExportLogsServiceRequest),
            (f"{OTLP}.trace.v1.TraceService", self._take_spans, ExportTraceServiceRequest),
        ):
            handler = grpc.unary_unary_rpc_method_handler(
                method,
                request_deserializer=request.FromString,
                response_serializer=lambda answer: answer.SerializeToString(),
            )
            self._server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(service, {"Export": handler}),)
            )
        self._server.add_insecure_port(f"127.0.0.1:{self._port}")
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.stop(None)

    async def _take_logs(self, request: Any, _: Any) -> Any:
        for found in request.resource_logs:
            name = attributes(found.resource.attributes)["log_name"]
            records = (record for scope in found.instrumentation_library_logs for record in scope.logs)
            self.logs += ((name, attributes(record.attributes)["path"]) for record in records)
        return ExportLogsServiceResponse()

    async def _take_spans(self, request: Any, _: Any) -> Any:
        for found in request.resource_spans:
            own = attributes(found.resource.attributes)
            spans = (span for scope in found.instrumentation_library_spans for span in scope.spans)
            self.spans += ({**own, **attributes(span.attributes)} for span in spans)
        return ExportTraceServiceResponse()


def attributes(pairs: Iterable[Any]) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in pairs}


def in_root(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    made = thing(kind, name, spec)
    made["metadata"]["namespace"] = "istio-system"
    return made


def setting(port: int) -> list[dict[str, Any]]:
    """The collector as a service, and as providers; of requests that fail a client's log, and all of a server's."""
    service = {
        "hosts": ["otel.example.com"],
        "ports": [{"number": 4317, "name": "grpc", "protocol": "GRPC"}],
        "resolution": "STATIC",
        "endpoints": [{"address": "127.0.0.1", "ports": {"grpc": port}}],
    }
    to = {"service": "otel.example.com", "port": 4317}
    logs = [
        {
            "name": name,
            "envoyOtelAls": {**to, "logName": name, "logFormat": {"labels": {"path": "%REQ(:PATH)%"}}},
        }
        for name in ("told-out", "told-in")
    ]
    telling = [
        {
            "match": {"mode": "CLIENT"},
            "providers": [{"name": "told-out"}],
            "filter": {"expression": "response.code >= 400"},
        },
        {"match": {"mode": "SERVER"}, "providers": [{"name": "told-in"}]},
    ]
    return [
        thing("ServiceEntry", "otel", service),
        in_root(
            "MeshConfig", "default", {"extensionProviders": [*logs, {"name": "otel", "opentelemetry": to}]}
        ),
        in_root("Telemetry", "mesh", {"accessLogging": telling}),
    ]


async def get(made: Town, url: str, **headers: str) -> int:
    timeout = aiohttp.ClientTimeout(total=60)
    proxy = made.homes[HOME].proxy
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(url, proxy=proxy, headers=headers) as response,
    ):
        return response.status


async def test_a_proxy_tells_what_telemetry_wants_and_whom(tmp_path: Path) -> None:
    """Logs of each side with a filter of its own, one side switched off for a workload, spans with tags and the workload's
    name, and requests that go on with the headers of their trace or without.
    """
    (port,) = free_ports(1)
    own: dict[str, Any] = {"selector": {"matchLabels": {"app": "home"}}}
    labels = {"home-0": {"app": "home"}}
    async with (
        Collector(port) as collector,
        town(tmp_path, {"cart": HOME}, [HOME], labels=labels) as made,
    ):
        cart = made.sites["cart"]
        cart.statuses = {"/bad": 404}
        await made.apply(*setting(port))

        async def failed() -> None:
            assert await get(made, f"http://{HOST}/bad") == 404
            assert ("told-out", "/bad") in collector.logs

        await eventually(failed, "a request that fails is logged", every=0.2)
        assert await get(made, f"http://{HOST}/fine") == 200

        async def both() -> None:
            assert await get(made, f"{INBOUND}/in") == 503
            assert {("told-out", "/in"), ("told-in", "/in")} <= set(collector.logs)

        await eventually(both, "the way out and the way in are told", every=0.2)
        assert ("told-out", "/fine") not in collector.logs

        own["accessLogging"] = [{"match": {"mode": "SERVER"}, "disabled": True}]
        own["tracing"] = [
            {
                "providers": [{"name": "otel"}],
                "randomSamplingPercentage": 100,
                "customTags": {
                    "shelf": {"header": {"name": "x-shelf", "defaultValue": "none"}},
                    "where": {"formatter": {"value": "%REQ(:PATH)%"}},
                    "town": {"literal": {"value": "test"}},
                },
            }
        ]
        assert await made.apply(thing("Telemetry", "home", own)) == []
        envoy = made.homes[HOME].envoy

        async def quiet() -> bool:
            return "told-in" not in await envoy.get("/config_dump")

        await eventually(quiet, "the way in is not logged any more")

        async def traced() -> None:
            assert await get(made, f"http://{HOST}/bad", **{"x-shelf": "top"}) == 404
            assert any(span.get("shelf") == "top" for span in collector.spans)

        await eventually(traced, "a span is made", every=0.2)
        span = next(span for span in collector.spans if span.get("shelf") == "top")
        assert (span["where"], span["town"], span["service.name"]) == ("/bad", "test", "home.default")
        assert (span["istio.canonical_service"], span["istio.namespace"]) == ("home", "default")
        assert "traceparent" in cart.asked
        assert await get(made, f"{INBOUND}/later") == 503
        await eventually(lambda: ("told-out", "/later") in collector.logs, "the way out is")

        own["tracing"][0]["disableContextPropagation"] = True
        await made.apply(thing("Telemetry", "home", own))

        async def withheld() -> None:
            assert await get(made, f"http://{HOST}/bad") == 404
            assert "traceparent" not in cart.asked

        await eventually(withheld, "requests go on without their trace")
        assert ("told-in", "/later") not in collector.logs
