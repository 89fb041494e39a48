"""Thousands of proxies of one view connect at once: when all are configured, and what each costs the server."""

from typing import Any

from tests.bench.control import Worker
from tests.bench.fanout import SERVERS
from tests.bench.summary import Figure, figure, ratio

REPETITIONS = 5


def storm(proxies: int, services: int, repetitions: int = REPETITIONS) -> dict[str, Any]:
    """Ours beside the floor, with this many proxies in a mesh of so many services."""
    found = {kind: _measured(module, proxies, services, repetitions) for kind, module in SERVERS.items()}
    ours, floor = found["xdsd"], found["floor"]
    ratios = {name: ratio(ours[name], floor[name]) for name in ("seconds", "cpu_us_a_proxy", "kib_a_proxy")}
    return {"proxies": proxies, "services": services, **found, "ratio": ratios}


def memory(proxies: int = 1000, few: int = 100, many: int = 1000) -> dict[str, Any]:
    """How resident memory a proxy grows with the services that each of them is told of: the slope, in bytes."""
    small, large = (storm(proxies, services, 3)["xdsd"]["kib_a_proxy"]["median"] for services in (few, many))
    slope = (large - small) * 1024 / (many - few)
    return {
        "proxies": proxies,
        "kib_a_proxy": {str(few): small, str(many): large},
        "bytes_a_proxy_a_service": round(slope, 2),
    }


def _measured(module: str, proxies: int, services: int, repetitions: int) -> dict[str, Any]:
    runs = [_run(module, proxies, services) for _ in range(repetitions)]
    figures: dict[str, Figure] = {name: figure([run[name] for run in runs]) for name in runs[0]}
    return {**figures, "lost": int(figures["lost"]["most"])}


def _run(module: str, proxies: int, services: int) -> dict[str, float]:
    with Worker(module, 0, services=services, clusters=True) as server:
        port = server.order("port")
        with Worker("tests.bench.load", 1, port=port, names=services, clusters=True) as load:
            load.order(
                "connect", count=1
            )  # the mesh is compiled for the first proxy: that is another benchmark
            load.order("idle", seconds=0.5)
            server.order("settle")
            before = server.order("usage")
            joined = load.order("connect", count=proxies)
            load.order("idle", seconds=2)
            after = server.order("usage")
    return {
        "seconds": joined["seconds"],
        "lost": joined["lost"] + proxies - joined["configured"],
        "cpu_us_a_proxy": (after["cpu"] - before["cpu"]) / proxies * 1e6,
        "kib_a_proxy": (after["resident"] - before["resident"]) / proxies,
        "encodings": after["encodings"] - before["encodings"],
    }
