"""Certificates of many connected proxies are renewed: how long that takes, and how late the event loop is meanwhile."""

from typing import Any

from tests.bench.control import Worker
from tests.bench.summary import figure

REPETITIONS = 3


def rotate(proxies: int = 1000) -> dict[str, Any]:
    """``at_once``: all are due at the same moment, which jitter keeps from happening; ``other_root``: as the daemon spreads
    it when somebody else signs. The worst lag is that of the event loop in all repetitions.
    """
    found: dict[str, list[dict[str, float]]] = {"at_once": [], "other_root": []}
    with Worker("tests.bench.rotating", 0) as server, Worker("tests.bench.renewing", 1) as load:
        joined = load.order("connect", count=proxies, **server.order("join"))
        server.order("settle")
        times = 1
        for _ in range(REPETITIONS):
            for name, order in (("at_once", "all-due"), ("other_root", "other-root")):
                times += 1
                found[name].append(_renewed(server, load, order, times, proxies))
    return {
        "proxies": proxies,
        "joined_seconds": round(joined, 2),
        **{name: _figures(runs) for name, runs in found.items()},
    }


def _renewed(server: Worker, load: Worker, order: str, times: int, proxies: int) -> dict[str, float]:
    before = server.order("usage")
    server.order(order)
    seconds = load.order("until", times=times)
    after = server.order("usage")
    return {
        "seconds": seconds,
        "cpu_us_a_proxy": (after["cpu"] - before["cpu"]) / proxies * 1e6,
        "worst_lag_ms": after["lag"] * 1e3,
    }


def _figures(runs: list[dict[str, float]]) -> dict[str, Any]:
    return {name: figure([run[name] for run in runs]) for name in runs[0]}
