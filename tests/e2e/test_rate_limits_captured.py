"""Limits between programs that know nothing of the mesh, their traffic redirected by the kernel."""

from pathlib import Path

import pytest

from tests.e2e.limiting import day_goes_on, limit, on
from tests.e2e.test_machines_captured import REVIEWS, World, thing, who, world

pytestmark = pytest.mark.e2e

TWICE = {"limit": {"requests": 2, "unit": "DAY"}}
OF_REVIEWS = {"selector": {"matchLabels": {"app": "reviews"}}}


async def _settled(mesh: World) -> None:
    await mesh.daemon.xdsctl("wait", "--for=synced", "--timeout", "60s")


async def test_a_program_is_protected_by_the_proxy_beside_it(tmp_path: Path) -> None:
    """By buckets of its own; connections that callers hold open are limited by what changes, too."""
    async with world(tmp_path, "v1") as mesh:
        await mesh.apply(limit("reviews", {**OF_REVIEWS, "local": [TWICE]}))
        await _settled(mesh)
        assert [await who() for _ in range(3)] == ["v1", "v1", "429"]
        once = {"limit": {"requests": 1, "unit": "DAY"}, "descriptors": [{"path": {}}]}
        await mesh.apply(limit("reviews", {**OF_REVIEWS, "local": [once]}))
        await _settled(mesh)
        assert [await who(f"{REVIEWS}{path}") for path in "aab"] == ["v1", "429", "v1"]


async def test_a_program_is_protected_by_counts_of_the_daemon(tmp_path: Path) -> None:
    """Which the proxy reaches over a socket."""
    counted = {"limits": [{"name": "it", "descriptors": [{"path": {}}], **TWICE}]}
    async with world(tmp_path, "v1") as mesh:
        await mesh.apply(limit("reviews", {**OF_REVIEWS, "global": counted}))
        await _settled(mesh)
        await day_goes_on()
        assert [await who(f"{REVIEWS}{path}") for path in "aaab"] == ["v1", "v1", "429", "v1"]
        with mesh.outside.entered():
            seen = await mesh.proxies["reviews"].stats("ratelimit.over_limit$")
    assert sum(seen.values()) == 1


async def test_callers_are_held_back_where_they_call(tmp_path: Path) -> None:
    """A limit of a route refuses at the proxy of whoever calls, so that nothing reaches the other machine."""
    routes = {
        "hosts": ["reviews"],
        "http": [{"name": "all", "route": [{"destination": {"host": "reviews"}}]}],
    }
    async with world(tmp_path, "v1") as mesh:
        await mesh.apply(
            thing("VirtualService", "reviews", routes),
            limit("reviews", {"targetRefs": on("reviews", "all"), "local": [TWICE]}),
        )
        await _settled(mesh)
        assert [await who() for _ in range(4)] == ["v1", "v1", "429", "429"]
        with mesh.outside.entered():
            arrived = await mesh.proxies["reviews"].stats("cluster.inbound.9080.*upstream_rq_total$")
        assert sum(arrived.values()) == 2
