"""An Envoy's admin pages, as values."""

import json
from collections.abc import Mapping
from typing import Any

import aiohttp


class Admin:
    """The admin interface at ``admin`` (``host:port``) of an Envoy, whoever started it."""

    def __init__(self, admin: str) -> None:
        self.admin = admin

    async def get(self, path: str) -> str:
        """The text of an admin page such as ``/clusters``."""
        return await self._ask("GET", path)

    async def post(self, path: str) -> str:
        """Performs an admin action such as ``/healthcheck/fail``."""
        return await self._ask("POST", path)

    async def stats(self, pattern: str = "") -> dict[str, int]:
        """Counters and gauges whose name matches the regular expression."""
        text = await self.get(f"/stats?format=json&filter={pattern}" if pattern else "/stats?format=json")
        return {each["name"]: each["value"] for each in json.loads(text)["stats"] if "value" in each}

    async def stat(self, name: str) -> int:
        """One counter or gauge; 0 while Envoy has not made it yet."""
        return (await self.stats(f"^{name.replace('.', '[.]')}$")).get(name, 0)

    async def config_dump(self, kind: str = "") -> list[Any]:
        """The sections of ``/config_dump?include_eds``; those whose type name contains ``kind``."""
        configs = json.loads(await self.get("/config_dump?include_eds"))["configs"]
        return [each for each in configs if kind in each["@type"]]

    async def names(self, kind: str) -> set[str]:
        """Names of the active dynamic ``clusters``, ``listeners`` or ``routes``."""
        if kind == "clusters":
            found = (
                each for dump in await self.config_dump("ClustersConfigDump") for each in _list(dump, kind)
            )
            return {each["cluster"]["name"] for each in found}
        if kind == "listeners":
            found = (
                each for dump in await self.config_dump("ListenersConfigDump") for each in _list(dump, kind)
            )
            return {each["name"] for each in found if "active_state" in each}
        dumps = await self.config_dump("RoutesConfigDump")
        routes = (each for dump in dumps for each in dump.get("dynamic_route_configs", []))
        return {each["route_config"]["name"] for each in routes}

    async def _ask(self, method: str, path: str) -> str:
        timeout = aiohttp.ClientTimeout(total=20)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, f"http://{self.admin}{path}") as response,
        ):
            text = await response.text()
            assert response.status == 200, f"{path}: {response.status} {text}"
            return text


def _list(dump: Mapping[str, Any], kind: str) -> list[Any]:
    return list(dump.get("dynamic_active_clusters" if kind == "clusters" else "dynamic_listeners", []))
