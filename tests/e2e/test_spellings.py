"""No spelling of a path, a host or a header gets past a policy, at gateways and sidecars."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.asking import thing
from tests.e2e.limiting import WORKLOAD, Lab, limited_mesh
from tests.lab.eventually import eventually
from tests.lab.raw import Answer, raw_request

pytestmark = pytest.mark.e2e

HOST, SECRET = "open.example.com", "secret.example.com"

DENIED_PATHS = (
    "/admin",
    "/admin?x=/open",
    "/admin/",
    "/admin/x",
    "//admin",
    "///admin//x",
    "/./admin",
    "/.//./admin",
    "/x/../admin",
    "/x/y/../../admin/x",
    "/../../admin",
    "/admin/.",
    "/admin/x/..",
    "/open/../admin",
    "/%2fadmin",
    "/%2Fadmin%2fx",
    "/%2e/admin",
    "/x/%2e%2e/admin",
    "/x/%2E./admin",
    "/x%2f..%2fadmin",
    "/x/%2e%2e%2fadmin",
    "/%61dmin",
    "/%61%64%6D%69%6e/x",
    "/\\admin",
    "/x\\..\\admin",
    "/x/..%5cadmin",
    "/%5Cadmin",
    "http://open.example.com/admin",
    "http://open.example.com//x/../%61dmin",
    "http://other.example.com/admin",
)
"""Of the path ``/admin`` and what is below."""
MALFORMED_PATHS = ("\\admin", "/admin%00", "/x/%00/../admin", "/admin#x", "/open#/../admin")
OTHER_PATHS = (
    "/open",
    "/administrator",
    "/ADMIN",
    "/x/admin",
    "/admin.",
    "/%252e%252e/admin",
    "/a/%2561dmin",
)
"""These are other paths, for whoever gets the request too."""

DENIED_HOSTS = (
    "secret.example.com",
    "SECRET.Example.COM",
    "secret.example.com.",
    "secret.example.com:80",
    "Secret.example.com:8080",
    "secret.example.com.:80",
)
DENIED_HEADERS = (
    [("x-role", "admin")],
    [("X-Role", "admin")],
    [("X-ROLE", "  admin  ")],
    [("x-role", "user"), ("X-Role", "admin")],
    [("x-role", "admin"), ("x-role", "user")],
)


def policy(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """For all workloads of the namespace, the gateway among them."""
    made = thing("AuthorizationPolicy", name, spec)
    made["apiVersion"] = "security.istio.io/v1"
    return made


POLICIES = (
    policy(
        "paths", {"action": "DENY", "rules": [{"to": [{"operation": {"paths": ["/admin", "/admin/*"]}}]}]}
    ),
    policy(
        "hosts", {"action": "DENY", "rules": [{"to": [{"operation": {"hosts": [SECRET, f"{SECRET}:*"]}}]}]}
    ),
    policy(
        "roles",
        {"action": "DENY", "rules": [{"when": [{"key": "request.headers[X-Role]", "values": ["admin"]}]}]},
    ),
)


async def everywhere(lab: Lab, target: str = "/open", host: str = HOST, headers: Any = ()) -> list[Answer]:
    """What the sidecar and the gateway answer."""
    doors = ((WORKLOAD, lab.workload), ("127.0.0.1", lab.gateway))
    asked = (raw_request(address, port, target, host, headers) for address, port in doors)
    return list(await asyncio.gather(*asked))


async def test_no_spelling_passes_a_denial(tmp_path: Path) -> None:
    """All ways to write a path, a host and a header are refused that the program would take for the denied one; what is
    malformed is refused too; others pass, and arrive as they were judged.
    """
    async with limited_mesh(tmp_path, sidecar=True) as lab:
        route = {"route": [{"destination": {"host": "app.default.svc.cluster.local"}}]}
        hosts = {"hosts": ["*"], "gateways": ["edge"], "http": [route]}
        await lab.apply(thing("VirtualService", "all", hosts))

        async def open_everywhere() -> None:
            for target, host in (("/admin", HOST), ("/open", SECRET)):
                assert [each.status for each in await everywhere(lab, target, host)] == [200, 200]

        await eventually(open_everywhere)
        await lab.apply(*POLICIES)

        async def closed_everywhere() -> None:
            for asked in (("/admin", HOST), ("/open", SECRET), ("/open", HOST, [("x-role", "admin")])):
                assert [each.status for each in await everywhere(lab, *asked)] == [403, 403], asked

        await eventually(closed_everywhere)
        denied: list[tuple[Any, ...]] = [(target,) for target in DENIED_PATHS]
        denied += [("/open", host) for host in DENIED_HOSTS]
        denied += [(f"http://{host}/open",) for host in DENIED_HOSTS]
        denied += [("/open", HOST, headers) for headers in DENIED_HEADERS]
        found = {str(asked): [each.status for each in await everywhere(lab, *asked)] for asked in denied}
        assert {asked: got for asked, got in found.items() if got != [403, 403]} == {}
        for target in MALFORMED_PATHS:
            assert [each.status for each in await everywhere(lab, target)] == [400, 400], target
        for target in OTHER_PATHS:
            for answer in await everywhere(lab, target):
                assert answer.status == 200, target
                _, _, arrived = answer.body.strip().splitlines()
                assert not arrived.startswith("/admin/"), target
                assert arrived != "/admin", target
