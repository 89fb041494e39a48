"""What is said of who may reach whom, against real proxies: which identities arrive, and what policies make of them."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from tests.e2e.test_pairs import tell_caller
from tests.e2e.village import Village, account, village
from tests.lab.eventually import eventually
from tests.lab.ports import free_ports

pytestmark = pytest.mark.e2e

CALLER, SERVER = "127.0.0.71", "127.0.0.72"
PATHS = ("/any", "/web", "/stranger", "/not-web")
MIXED = 14

POLICIES = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: allowed, namespace: default}
spec:
  selector: {matchLabels: {app: shop}}
  rules:
    - to: [{operation: {paths: [/any, /not-web]}}]
    - {from: [{source: {principals: [cluster.local/ns/default/sa/web]}}], to: [{operation: {paths: [/web]}}]}
    - {from: [{source: {notPrincipals: ["*"]}}], to: [{operation: {paths: [/stranger]}}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: denied, namespace: default}
spec:
  selector: {matchLabels: {app: shop}}
  action: DENY
  rules: [{from: [{source: {namespaces: [default]}}], to: [{operation: {paths: [/not-web]}}]}]
"""


class Setting(NamedTuple):
    """What decides how proxies speak: of the workload, of the caller, and of the mesh."""

    mode: str
    rule: str
    automatic: bool

    def objects(self, port: int) -> str:
        return "---".join(
            (
                f"""
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: shop, namespace: default}}
spec:
  selector: {{matchLabels: {{app: shop}}}}
  mtls: {{mode: {self.mode}}}
""",
                f"""
apiVersion: mesh.xdsd.io/v1
kind: MeshConfig
metadata: {{name: default, namespace: istio-system}}
spec: {{enableAutoMtls: {str(self.automatic).lower()}}}
""",
                _service("shop", port, ", security.istio.io/tlsMode: istio"),
                _service("bare", port, ""),
                _rule("shop", self.rule),
                _rule("bare", "" if self.rule == "SIMPLE" else self.rule),
            )
        )


SETTINGS = [
    Setting(*each)
    for each in product(
        ("PERMISSIVE", "STRICT", "DISABLE"), ("", "ISTIO_MUTUAL", "DISABLE", "SIMPLE"), (True, False)
    )
]


def _service(name: str, port: int, label: str) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: default}}
spec:
  hosts: [{name}.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {port}}}]
  endpoints: [{{address: {SERVER}, serviceAccount: shop, labels: {{app: shop{label}}}}}]
"""


def _rule(name: str, mode: str) -> str:
    tls = f", tls: {{mode: {mode}}}" if mode else ""
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}, namespace: default}}
spec:
  host: {name}.default.svc.cluster.local
  trafficPolicy: {{connectionPool: {{http: {{maxRequestsPerConnection: 1}}}}{tls}}}
"""


class Scene(NamedTuple):
    made: Village
    port: int

    async def ask(self, caller: str, service: str, path: str) -> tuple[bool, str]:
        """Whether a request was answered, and as whom its caller was known to the program."""
        try:
            if caller == "anonymous":
                status, text = await _get(f"http://{SERVER}:{self.port}{path}")
            else:
                status, text = await self.made.get("web", f"http://{service}.default.svc.cluster.local{path}")
        except (aiohttp.ClientError, OSError):
            return False, ""
        return status == 200, text.partition("URI=")[2].partition(";")[0] if status == 200 else ""

    async def agree(self, setting: object) -> None:
        """Waits until everything is as it is said to be."""

        async def holds() -> None:
            for caller, service, path in product(("default/web", "anonymous"), ("shop", "bare"), PATHS):
                said = self.made.judged(caller, service, path)
                found = await self.ask(caller, service, path)
                wanted = (said.allowed, said.source.peer if said.allowed else "")
                assert found == wanted, f"{setting}: {caller} to {service}{path}: {found}, said {said}"

        await eventually(holds)


async def _get(url: str) -> tuple[int, str]:
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
        return response.status, await response.text()


@asynccontextmanager
async def _scene(folder: Path) -> AsyncIterator[Scene]:
    (port,) = free_ports(1)
    async with village(folder) as made, tell_caller("127.0.0.1", port):
        await made.apply(POLICIES + "---" + SETTINGS[0].objects(port))
        await asyncio.gather(made.sidecar("web", CALLER), made.sidecar("shop", SERVER))
        yield Scene(made, port)


async def test_proxies_do_what_is_said_of_who_may_reach_whom(tmp_path: Path) -> None:
    """Of identities that arrive and that do not, whatever keeps them back, and of revoked ones: 0 differences."""
    async with _scene(tmp_path) as here:
        for setting in random.Random(20261121).sample(SETTINGS, MIXED):
            await here.made.apply(setting.objects(here.port))
            await here.agree(setting)
        open_to_both = Setting("PERMISSIVE", "", automatic=True)
        await here.made.apply(open_to_both.objects(here.port))
        await here.agree(open_to_both)
        assert here.made.judged("default/web", "shop", "/web").allowed
        await here.made.shut_out(account("web"))
        assert not here.made.judged("default/web", "shop", "/any").allowed
        await here.agree("web is revoked")
