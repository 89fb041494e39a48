"""What a MeshConfig says, as real Envoys carry it out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.e2e.asking import thing
from tests.e2e.test_machines_captured import MYSQL_ADDRESS, REVIEWS, STRANGER, World, who, world
from tests.e2e.town import HOST, Town, town
from tests.lab.echo import first_line
from tests.lab.eventually import eventually
from tests.lab.load import Load

pytestmark = pytest.mark.e2e

SPELLED = "/a//b/../%2Fc?x=//y"


def mesh_config(**spec: Any) -> dict[str, Any]:
    made = thing("MeshConfig", "default", spec)
    made["metadata"]["namespace"] = "istio-system"
    return made


async def test_paths_logs_and_unknown_destinations_are_as_the_mesh_says(tmp_path: Path) -> None:
    """Of redirected programs: strangers are refused, but where a Sidecar lets them; paths arrive in one form, or as they
    are; programs are called where they are said to be, and log lines are those that were asked for.
    """
    log = tmp_path / "access.log"
    letting = {
        "workloadSelector": {"labels": {"app": "shop"}},
        "outboundTrafficPolicy": {"mode": "ALLOW_ANY"},
    }
    async with world(tmp_path, "v1") as mesh:
        await eventually(lambda: _hears(mesh, "stranger 127.0.0.6"), "strangers are let through")
        assert await _path(SPELLED) == "/a/c?x=//y"
        assert await first_line(MYSQL_ADDRESS, 3306) == "mysql 127.0.0.6"
        await mesh.apply(
            mesh_config(
                outboundTrafficPolicy={"mode": "REGISTRY_ONLY"},
                inboundTrafficPolicy={"mode": "LOCALHOST"},
                pathNormalization={"normalization": "NONE"},
                accessLogFile=str(log),
                accessLogFormat="%RESPONSE_CODE% at %REQ(:PATH)%",
            )
        )
        await eventually(lambda: _hears(mesh, ""), "strangers are refused")
        await eventually(lambda: _arrives(SPELLED), "paths arrive as they are")
        assert await first_line(MYSQL_ADDRESS, 3306) == "mysql 127.0.0.1", "programs are called at loopback"
        assert await who() == "v1"
        await mesh.apply(thing("Sidecar", "shop", letting))
        await eventually(lambda: _hears(mesh, "stranger 127.0.0.6"), "the Sidecar counts more")
    lines = log.read_text().splitlines()  # Envoy writes out what it has when it ends
    assert f"200 at {SPELLED}" in lines


async def test_retries_and_localities_are_as_the_mesh_says(tmp_path: Path) -> None:
    """Where rules do not say otherwise, and with no request that fails and no listener that changes on the way."""
    async with town(tmp_path, {"here": "eu/a", "far": "us/a"}, ["eu/a"]) as made:
        await made.reaches("eu/a", "here", "far", requests=40)
        listeners = await _listeners(made)
        async with Load(f"http://{HOST}/", proxy=made.homes["eu/a"].proxy, rate=200) as load:
            await _shares(made, {"us/*": 100})
            await made.reaches("eu/a", "far")
            await _shares(made, {"eu/*": 100})
            await made.reaches("eu/a", "here")
            await made.apply(mesh_config(connectTimeout="3s", defaultTrafficPolicy={"outlierDetection": {}}))
            await made.reaches("eu/a", "here")
            await made.rule({"loadBalancer": {"localityLbSetting": {"enabled": False}}})
            await made.reaches("eu/a", "here", "far", requests=40)
        assert load.tally.failed == 0, load.tally
        await made.rule({"loadBalancer": {"localityLbSetting": {"enabled": True}}})
        await made.reaches("eu/a", "here")
        made.sites["here"].statuses = {"/ill": 503}
        assert await _tries(made) == 1
        await made.apply(
            mesh_config(defaultHttpRetryPolicy={"attempts": 3, "retryOn": "503", "backoff": "1ms"})
        )
        await eventually(lambda: _needs(made, 4), "a request is tried four times")
        route = {"route": [{"destination": {"host": HOST}}], "retries": {"attempts": 1, "retryOn": "503"}}
        await made.apply(thing("VirtualService", "cart", {"hosts": [HOST], "http": [route]}))
        await eventually(lambda: _needs(made, 2), "a route's own retries count more")
        assert await _listeners(made) == listeners


async def test_a_mesh_config_of_another_name_or_place_is_refused(tmp_path: Path) -> None:
    """There is one, and the answer says where."""
    async with town(tmp_path, {"here": "eu/a"}, []) as made:
        for namespace, name in (("default", "default"), ("istio-system", "mine")):
            wrong = mesh_config(connectTimeout="3s")
            wrong["metadata"] = {"name": name, "namespace": namespace}
            with pytest.raises(AssertionError, match=r"metadata\.name"):
                await made.apply(wrong)


async def _hears(mesh: World, expected: str) -> bool:
    return await first_line(mesh.outside.address, STRANGER) == expected


async def _path(path: str) -> str:
    """A path as it arrives at reviews."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session,
        session.get(
            URL(f"{REVIEWS.rstrip('/')}{path}", encoded=True), headers={"host": "reviews"}
        ) as response,
    ):
        text = await response.text()
        assert response.status == 200, f"{response.status} {text} {dict(response.headers)}"
        return text.split("\n")[2]


async def _arrives(path: str) -> bool:
    return await _path(path) == path


async def _shares(made: Town, shares: Mapping[str, int]) -> None:
    await made.apply(mesh_config(localityLbSetting={"distribute": [{"from": "eu/*", "to": dict(shares)}]}))


async def _tries(made: Town) -> int:
    """How often the nearest site is asked for a page that it never has."""
    site = made.sites["here"]
    before = site.requests
    assert await made.ask("eu/a", path="/ill") == {"503": 1}
    return site.requests - before


async def _needs(made: Town, tries: int) -> bool:
    return await _tries(made) == tries


async def _listeners(made: Town) -> Mapping[str, int]:
    stats = await made.homes["eu/a"].envoy.stats("listener_manager.listener_(added|modified|removed)")
    return dict(stats)
