"""Objects made by hand, and a daemon that is asked without the start of a process."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from api.client import Client
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from tests.lab.daemon import Daemon
from xdsd.model.intent.kinds import KINDS
from xdsd.settings import parse_address

T = TypeVar("T")


def service(name: str, *addresses: str, weight: int = 1) -> dict[str, Any]:
    """A service of the default namespace; Any: objects nest freely."""
    spec = {
        "hosts": [f"{name}.example.com"],
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "resolution": "STATIC",
        "endpoints": [{"address": address, "weight": weight} for address in addresses or ("10.0.0.1",)],
    }
    return thing("ServiceEntry", name, spec)


def thing(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    version = KINDS[kind].preferred
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}


def cluster_of(name: str) -> str:
    return f"outbound|80||{name}.example.com"


async def ask(daemon: Daemon, call: Callable[[Client], T]) -> T:
    """What its admin API answers."""

    def blocking() -> T:
        with Client(parse_address(daemon.endpoint)) as client:
            return call(client)

    return await asyncio.to_thread(blocking)


def encoded(objects: Sequence[Mapping[str, Any]]) -> list[bytes]:
    return [json.dumps(each).encode() for each in objects]


def accepted(response: pb.ApplyResponse) -> pb.ApplyResponse:
    assert response.accepted, response.problems
    return response


async def metric(daemon: Daemon, *starts: str) -> float:
    """The sum of the samples that begin so."""
    return samples(await daemon.metrics(), *starts)


def samples(metrics: str, *starts: str) -> float:
    """The same of a page that was read already."""
    return sum(float(line.rpartition(" ")[2]) for line in metrics.splitlines() if line.startswith(starts))
