"""One endpoint flips: when the proxies that asked for it have it, and what that costs the server."""

import time
from typing import Any

from tests.bench.control import Worker
from tests.bench.summary import figure, ratio

SERVERS = {"xdsd": "tests.bench.serving", "floor": "tests.bench.floor"}
REPETITIONS = 5


def fanout(proxies: int, names: int) -> dict[str, Any]:
    """Ours beside the floor, with this many proxies of so many EDS names each."""
    found = {kind: _measured(module, proxies, names) for kind, module in SERVERS.items()}
    ours, floor = found["xdsd"], found["floor"]
    ratios = {
        name: ratio(ours[name], floor[name]) for name in ("median_ms", "p99_ms", "last_ms", "cpu_us_a_proxy")
    }
    return {"proxies": proxies, "names": names, **found, "ratio": ratios}


def _measured(module: str, proxies: int, names: int) -> dict[str, Any]:
    with Worker(module, 0, services=names, clusters=False) as server:
        port = server.order("port")
        with Worker("tests.bench.load", 1, port=port, names=names, clusters=False) as load:
            joined = load.order("connect", count=proxies)
            load.order("idle", seconds=1)
            server.order("settle")
            runs = [_flip(server, load, proxies, turn + 1) for turn in range(REPETITIONS + 1)][1:]
    return {
        "lost": joined["lost"],
        "joins_a_flip": max(run.pop("joins") for run in runs),
        "encodings_a_flip": max(run.pop("encodings") for run in runs),
        **{name: figure([run[name] for run in runs]) for name in runs[0]},
    }


def _flip(server: Worker, load: Worker, proxies: int, turn: int) -> dict[str, float]:
    before = server.order("usage")
    flipped = server.order("flip", turn=turn)
    late = load.order("expect", flipped=flipped)["late"]
    after = server.order("usage")
    deadline = time.monotonic() + 10
    while after["read"] - before["read"] < proxies and time.monotonic() < deadline:
        load.order("idle", seconds=0.05)
        after = server.order("usage")
    return {
        "median_ms": late[len(late) // 2] * 1e3,
        "p99_ms": late[int(len(late) * 0.99)] * 1e3,
        "last_ms": late[-1] * 1e3,
        "cpu_us_a_proxy": (after["cpu"] - before["cpu"]) / proxies * 1e6,
        "joins": after["joins"] - before["joins"],
        "encodings": after["encodings"] - before["encodings"],
    }
