"""What policies do at a gateway, to requests and to connections; and authorizers that are asked over gRPC."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.asking import thing
from tests.e2e.limiting import Lab, Reply, host, limited_mesh
from tests.lab.echo import tcp_server
from tests.lab.eventually import eventually
from tests.lab.judging import Authorizer, authorizer
from tests.lab.ports import free_ports

pytestmark = pytest.mark.e2e

DENIED_FROM, STRANGER = "127.0.0.81", "127.0.0.82"
AUDITED = "%DYNAMIC_METADATA(envoy.filters.http.rbac:istio_audit_shadow_effective_policy_id)%"
JUDGE = "judge.default.svc.cluster.local"


def policy(name: str, spec: dict[str, Any], **annotations: str) -> dict[str, Any]:
    said = {"selector": {"matchLabels": {"istio": "edge"}}, **spec}
    made = thing(
        "AuthorizationPolicy", name, {key: value for key, value in said.items() if value is not None}
    )
    made["apiVersion"] = "security.istio.io/v1"
    made["metadata"]["annotations"] = annotations
    return made


def paths(*values: str) -> dict[str, Any]:
    return {"rules": [{"to": [{"operation": {"paths": list(values)}}]}]}


@dataclass
class Door:
    """A gateway with a port for requests and one for connections."""

    lab: Lab
    judge: Authorizer
    raw: int
    judge_port: int

    async def connects(self, source: str = "127.0.0.1") -> bool:
        """Whether what is said on a connection from an address comes through; the server's greeting comes to anybody."""
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.raw, local_addr=(source, 0))
            try:
                writer.write(b"hello\n")
                return b"hello\n" in [await reader.readline(), await reader.readline()]
            except ConnectionError:
                return False
            finally:
                writer.close()

    async def until(self, path: str, status: int) -> Reply:
        """The answer to a request, once it has the status."""

        async def asked() -> Reply:
            reply = await self.lab.at_gateway("app.example.com", path)
            assert reply.status == status, f"{path}: {reply.status} {reply.text}"
            return reply

        return await eventually(asked, f"{path} answers {status}")

    async def counted(self, name: str) -> int:
        """The sum of the gateway's counters of that name for requests."""
        return sum((await self.lab.envoys[0].stats(f"^http[.].*{name}$")).values())

    async def ask(self, **settings: Any) -> None:
        """Declares the authorizer."""
        provider = {"service": JUDGE, "port": self.judge_port, "timeout": "0.5s", **settings}
        spec = {
            "extensionProviders": [{"name": "judge", "envoyExtAuthzGrpc": provider}],
            "accessLogFormat": f"%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% audited={AUDITED}\n",
        }
        metadata = {"name": "default", "namespace": "istio-system"}
        await self.lab.apply(
            {"apiVersion": "mesh.xdsd.io/v1", "kind": "MeshConfig", "metadata": metadata, "spec": spec}
        )

    async def log(self) -> str:
        """The access log, once the gateway has ended, which writes what it holds of it."""
        gateway = self.lab.envoys[0]
        await gateway.stop()
        return gateway.program.log.read_text()


@asynccontextmanager
async def door(folder: Path) -> AsyncIterator[Door]:
    program, raw, judge_port = free_ports(3)
    async with (
        tcp_server("raw", "127.0.0.1", program),
        authorizer("127.0.0.1", judge_port) as judge,
        limited_mesh(folder) as lab,
    ):
        servers = [{"port": {"number": raw, "name": "tcp", "protocol": "TCP"}, "hosts": ["*"]}]
        route = {"route": [{"destination": {"host": "raw.default.svc.cluster.local"}}]}
        await lab.apply(
            host("app"),
            _service("raw", program, "TCP"),
            _service("judge", judge_port, "GRPC"),
            thing("Gateway", "raw", {"selector": {"istio": "edge"}, "servers": servers}),
            thing("VirtualService", "raw", {"hosts": ["*"], "gateways": ["raw"], "tcp": [route]}),
        )
        made = Door(lab, judge, raw, judge_port)
        await made.ask()
        await lab.settled()
        await lab.reconnect()
        await made.until("/", 200)
        await eventually(made.connects, "connections are served")
        yield made


def _service(name: str, port: int, protocol: str) -> dict[str, Any]:
    spec = {
        "hosts": [f"{name}.default.svc.cluster.local"],
        "ports": [{"number": port, "name": protocol.lower(), "protocol": protocol}],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "endpoints": [{"address": "127.0.0.1"}],
    }
    return thing("ServiceEntry", name, spec)


async def test_policies_hold_for_requests_and_connections_of_a_gateway(tmp_path: Path) -> None:
    """Connections are refused by address and named in the log, HTTP fields let none in, and what is audited or tried out
    is counted and passes.
    """
    async with door(tmp_path) as here:
        at = [{"operation": {"ports": [str(here.raw)]}}]
        denied = [{"from": [{"source": {"ipBlocks": [DENIED_FROM]}}], "to": at}]
        dry = {"istio.io/dry-run": "true"}
        target = {"group": "networking.istio.io", "kind": "Gateway", "name": "edge"}
        await here.lab.apply(
            policy(
                "at-edge", {"selector": None, "targetRefs": [target], "action": "DENY", **paths("/at-edge")}
            ),
            policy("not-these", {"action": "DENY", "rules": denied}),
            policy("watched", {"action": "AUDIT", **paths("/watched")}),
            policy("tried", {"action": "DENY", **paths("/tried")}, **dry),
        )
        await eventually(lambda: _refuses(here, DENIED_FROM), "that address is refused")
        await here.until("/at-edge", 403)
        assert await here.connects(STRANGER)

        async def counts() -> None:
            await here.until("/watched", 200)
            await here.until("/tried", 200)
            assert await here.counted("rbac[.]istio_audit_[.]shadow_allowed") > 0
            assert await here.counted("istio_dry_run_deny_[.]shadow_denied") > 0

        await eventually(counts, "what is audited and tried out is counted")
        # A rule with fields of HTTP alone admits no connection.
        await here.lab.apply(policy("requests", {"action": "ALLOW", **paths("/open")}))
        await eventually(lambda: _refuses(here, STRANGER), "connections match no ALLOW")
        await here.until("/closed", 403)
        await here.until("/open", 200)
        await here.lab.apply(policy("connections", {"action": "ALLOW", "rules": [{"to": at}]}))
        await eventually(lambda: here.connects(STRANGER), "connections are let in again")
        assert not await here.connects(DENIED_FROM)
        log = await here.log()
        named = [f"ns[default]-policy[{each}]-rule[0]" for each in ("not-these", "at-edge")]
        for name in (*named, "none"):
            assert f"rbac_access_denied_matched_policy[{name}]" in log
        assert "audited=ns[default]-policy[watched]-rule[0]" in log


async def test_an_authorizer_over_grpc_decides_about_requests_and_connections(tmp_path: Path) -> None:
    """Asked about what the policy matches alone; one that hangs or is away refuses within its time, unless it fails open."""
    async with door(tmp_path) as here:
        to = [{"operation": {"paths": ["/private/*"]}}, {"operation": {"ports": [str(here.raw)]}}]
        # Ports hold for requests too: each of the two ports has a rule of its own.
        here.judge.verdict = "deny"
        await here.ask()
        await here.lab.apply(
            policy(
                "judged",
                {"action": "CUSTOM", "provider": {"name": "judge"}, "rules": [{"to": [each]} for each in to]},
            )
        )
        refused = await here.until("/private/a", 418)
        assert refused.text == "the authorizer says no"
        await eventually(lambda: _refuses(here, STRANGER), "connections are refused")
        await here.until("/open", 200)
        await eventually(lambda: set(here.judge.asked) == {"/private/a", "tcp"}, "it is asked of these alone")
        here.judge.verdict = "allow"
        await here.until("/private/a", 200)
        await eventually(here.connects, "connections are let in")
        here.judge.verdict = "hang"
        await here.until("/private/a", 403)
        assert not await here.connects()
        await here.until("/open", 200)
        await here.ask(failOpen=True)
        await here.until("/private/a", 200)
        await eventually(here.connects, "connections pass a silent authorizer that fails open")
        await here.ask(failOpen=False, statusOnError="503")
        await here.until("/private/a", 503)
        await eventually(lambda: _refuses(here, STRANGER), "closed again")
        await here.judge.leaves()
        await here.until("/private/a", 503)
        assert not await here.connects()
        await here.until("/open", 200)
        await here.ask(failOpen=True)
        await here.until("/private/a", 200)
        await eventually(here.connects, "connections pass without the authorizer")
        assert "ext_authz_error" in await here.log()


async def _refuses(here: Door, source: str) -> bool:
    return not await here.connects(source)
