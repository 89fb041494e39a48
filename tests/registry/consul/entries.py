"""What a Consul answers, for tests of what is made of it."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from xdsd.model.catalog import Port
from xdsd.registry.consul import ConsulOptions
from xdsd.registry.consul.facts import read_facts
from xdsd.registry.consul.services import Entries, Reader, Reading, read_service

SOURCE = "consul:http://127.0.0.1:8500"
Json = Any  # Any: JSON, right or wrong


def entry(
    ident: str = "web-1",
    *,
    node: Mapping[str, Json] | None = None,
    checks: Json = None,
    **service: Json,
) -> dict[str, Json]:
    """One entry of ``/v1/health/service/web``: fields of the service by their names in Consul."""
    return {
        "Node": {"Node": "n1", "Address": "10.1.0.1", "Datacenter": "dc1", **(node or {})},
        "Service": {
            "ID": ident,
            "Service": "web",
            "Port": 8080,
            "Address": "10.0.0.1",
            "Weights": {"Passing": 1, "Warning": 1},
            "CreateIndex": 10,
            **service,
        },
        "Checks": checks if checks is not None else [check("passing")],
    }


def check(status: str, ident: str = "alive") -> dict[str, str]:
    return {"CheckID": ident, "Status": status}


def reading(
    *entries: Json,
    options: ConsulOptions | None = None,
    known: Entries | None = None,
    port: Port | None = None,
    name: str = "web",
) -> Reading:
    """What is made of these entries."""
    reader = Reader(options or ConsulOptions(), "mesh.local", SOURCE)
    return read_service(reader, name, read_facts(body(entries), reader.options), known or {}, port)


def body(entries: Iterable[Json]) -> bytes:
    return json.dumps(list(entries)).encode()
