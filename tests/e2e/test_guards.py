"""What policies do in front of a real workload, through the daemon: to requests, tokens, logs and connections."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.e2e.asking import thing
from tests.e2e.limiting import Lab, Reply, limit, limited_mesh
from tests.e2e.test_mutual_tls import ALICE, WEB, Scene, scene
from tests.e2e.village import account
from tests.lab.echo import ended, first_line
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.judge import judge
from tests.lab.ports import free_port
from tests.lab.tokens import TokenIssuer

pytestmark = pytest.mark.e2e

SELECTED = {"selector": {"matchLabels": {"app": "app"}}}
DENIED = "RBAC: access denied"


def policy(name: str, spec: Mapping[str, Any], **annotations: str) -> dict[str, Any]:
    made = thing("AuthorizationPolicy", name, {**SELECTED, **spec})
    made["apiVersion"] = "security.istio.io/v1"
    made["metadata"]["annotations"] = annotations
    return made


def paths(*values: str) -> list[dict[str, Any]]:
    return [{"to": [{"operation": {"paths": list(values)}}]}]


@asynccontextmanager
async def issuer(keys: TokenIssuer) -> AsyncIterator[str]:
    """A server of an issuer's keys; yields their address."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=keys.jwks)

    app = web.Application()
    app.router.add_get("/keys", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{port}/keys"
    finally:
        await ended(runner)


def sidecar(lab: Lab) -> Envoy:
    return lab.envoys[-1]


async def listeners_changed(lab: Lab) -> dict[str, int]:
    """How often the sidecar's listeners changed, and how many connections that cost."""
    wanted = (
        "listener_manager.listener_modified",
        "listener_manager.listener_in_place_updated",
        "listener_manager.total_filter_chains_draining",
        "listener_manager.total_listeners_draining",
    )
    found = {name: await sidecar(lab).stat(name) for name in wanted}
    stats = await sidecar(lab).stats("downstream_cx_drain_close|downstream_cx_destroy_local")
    return {**found, "drained": sum(stats.values())}


async def until(lab: Lab, path: str, status: int, **headers: str) -> Reply:
    """The answer of the workload, once it has the status: what filters are told arrives apart from listeners."""

    async def asked() -> Reply:
        reply = await lab.at_workload(path, **headers)
        assert reply.status == status, f"{reply.status} {reply.text}"
        return reply

    return await eventually(asked, f"{path} answers {status}")


async def test_a_change_of_policy_holds_at_once_and_drains_nothing(tmp_path: Path) -> None:
    """A denial names its rule in the access log; no spelling of the path passes; connections stay as they are."""
    async with limited_mesh(tmp_path, sidecar=True) as lab:
        await until(lab, "/admin", 200)
        before = await listeners_changed(lab)
        await lab.apply(policy("no-admin", {"action": "DENY", "rules": paths("/admin*")}))
        refused = await until(lab, "/admin", 403)
        assert refused.text == DENIED
        for path in (
            "//admin",
            "/./admin",
            "/x/../admin",
            "/%2fadmin",
            "/x/%2e%2e/admin",
            "/%61dmin",
            "/admin.",
        ):
            assert (await lab.at_workload(path)).status == 403, path
        assert (await lab.at_workload("/open")).status == 200
        await lab.apply(policy("some", {"rules": paths("/open")}))
        await until(lab, "/closed", 403)
        await lab.apply(
            policy("later", {"action": "DENY", "rules": paths("/open")}, **{"istio.io/dry-run": "true"})
        )

        async def tried() -> bool:
            assert (await lab.at_workload("/open")).status == 200
            found = await sidecar(lab).stats("istio_dry_run_deny_.shadow_denied")
            return sum(found.values()) > 0

        await eventually(tried)
        await lab.daemon.xdsctl("delete", "authorizationpolicy", "some", "no-admin", "later")
        await until(lab, "/admin", 200)
        assert await listeners_changed(lab) == before
        told = "rbac_access_denied_matched_policy[ns[default]-policy[no-admin]-rule[0]]"
        await sidecar(lab).stop()  # which writes what is held of the log
        assert told in sidecar(lab).program.log.read_text()


async def test_tokens_are_proven_with_keys_that_the_daemon_fetches(tmp_path: Path) -> None:
    """While they cannot be had every token is refused, and nothing else; then a bad one is, a good one is let through by its
    claims, and gateways route by them.
    """
    keys, stranger = TokenIssuer("https://issuer.example"), TokenIssuer("https://issuer.example")
    settings = {"jwks-networks": "127.0.0.0/8"}
    async with issuer(keys) as url, limited_mesh(tmp_path, settings, sidecar=True) as lab:
        rule = {"issuer": keys.name, "jwksUri": url, "audiences": ["books"]}
        tokens = _tokens(rule)
        good = keys.token({"sub": "alice", "aud": "books", "groups": ["staff"]})
        away = f"http://127.0.0.1:{free_port()}/keys"
        await lab.apply(_tokens({**rule, "jwksUri": away}))
        await until(lab, "/", 401, authorization=f"Bearer {good}")
        assert (await lab.at_workload("/")).status == 200

        async def told() -> bool:
            return away in await lab.daemon.xdsctl("problems")

        await eventually(told, "it is told whose keys cannot be had")
        staff = {"key": "request.auth.claims[groups]", "values": ["staff"]}
        routed = {"headers": {"@request.auth.claims.groups": {"exact": "staff"}}}
        said = [{"status": 200, "body": {"string": each}} for each in ("staff", "others")]
        rules = [{"match": [routed], "directResponse": said[0]}, {"directResponse": said[1]}]
        by_claims = {"hosts": ["claims.example.com"], "gateways": ["edge"], "http": rules}
        await lab.apply(
            tokens,
            policy("staff", {"rules": [{"when": [staff]}]}),
            thing("VirtualService", "claims", by_claims),
        )
        await until(lab, "/", 403)
        await until(lab, "/", 200, authorization=f"Bearer {good}")

        async def routed_by_claims() -> None:
            found = await lab.at_gateway("claims.example.com", authorization=f"Bearer {good}")
            assert found.text == "staff", found

        await eventually(routed_by_claims)
        assert (await lab.at_gateway("claims.example.com")).text == "others"
        counted = {"descriptors": [{"claim": {"name": "sub"}}], "limit": {"requests": 1, "unit": "DAY"}}
        await lab.apply(limit("each", {**SELECTED, "local": [counted]}))
        await until(lab, "/", 429, authorization=f"Bearer {good}")
        for token, status in (
            (keys.token({"sub": "bob", "aud": "books", "groups": ["guests"]}), 403),
            (stranger.token({"sub": "alice", "aud": "books", "groups": ["staff"]}), 401),
            (keys.token({"sub": "alice", "aud": "films", "groups": ["staff"]}), 403),
            (keys.token({"sub": "alice", "aud": "books", "groups": ["staff"], "exp": 1}), 401),
            ("garbage", 401),
        ):
            assert (await lab.at_workload("/", authorization=f"Bearer {token}")).status == status


def _tokens(rule: Mapping[str, Any]) -> dict[str, Any]:
    made = thing("RequestAuthentication", "tokens", {"jwtRules": [rule]})
    made["apiVersion"] = "security.istio.io/v1"
    return made


async def test_a_provider_decides_and_its_silence_refuses(tmp_path: Path) -> None:
    """It is asked about what the policy matches alone; one that hangs refuses in time, or lets pass if it is told to."""
    port = free_port()
    async with judge("127.0.0.1", port) as asked, limited_mesh(tmp_path, sidecar=True) as lab:
        await lab.apply(
            thing(
                "ServiceEntry",
                "judge",
                {
                    "hosts": ["judge.default.svc.cluster.local"],
                    "ports": [{"number": port, "name": "http", "protocol": "HTTP"}],
                    "location": "MESH_INTERNAL",
                    "resolution": "STATIC",
                    "endpoints": [{"address": "127.0.0.1"}],
                },
            ),
            _mesh(port, failOpen=False, statusOnError="503"),
            policy(
                "judged", {"action": "CUSTOM", "provider": {"name": "judge"}, "rules": paths("/private/*")}
            ),
            policy("unheard", {"action": "CUSTOM", "provider": {"name": "nobody"}, "rules": paths("/lost")}),
        )
        refused = await until(lab, "/private/a", 403)
        assert (refused.text, refused.headers["www-authenticate"]) == ("the judge says no", "Judge")
        # Beside a busy machine the judge may be late as well as silent.
        await until(lab, "/private/a", 200, x_verdict="allow")
        assert (await lab.at_workload("/open")).status == 200
        assert (await lab.at_workload("/lost")).status == 403
        assert set(asked) == {"/check/private/a"}
        async with asyncio.timeout(120):  # of the 600 seconds that it had without a time of its own
            assert (await lab.at_workload("/private/a", x_verdict="hang")).status == 503
        assert (await lab.at_workload("/open")).status == 200
        await lab.apply(_mesh(port, failOpen=True))
        await until(lab, "/private/a", 200, x_verdict="hang")


def _mesh(port: int, **settings: Any) -> dict[str, Any]:
    provider = {
        "service": "judge.default.svc.cluster.local",
        "port": port,
        "timeout": "0.5s",
        "pathPrefix": "/check",
        "includeRequestHeadersInCheck": ["x-verdict"],
        "headersToDownstreamOnDeny": ["www-authenticate"],
        **settings,
    }
    return {
        "apiVersion": "mesh.xdsd.io/v1",
        "kind": "MeshConfig",
        "metadata": {"name": "default", "namespace": "istio-system"},
        "spec": {"extensionProviders": [{"name": "judge", "envoyExtAuthzHttp": provider}]},
    }


async def test_identities_that_mutual_tls_proves_decide(tmp_path: Path) -> None:
    """One account is let in and a stranger is not, over HTTP and over TCP; whoever comes in plaintext is nobody."""
    async with scene(tmp_path) as here:
        await here.answers({"alice", "legacy"})
        await here.made.apply(
            f"""
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: alice, namespace: default}}
spec:
  selector: {{matchLabels: {{app: alice}}}}
  rules:
    - from: [{{source: {{principals: ["{account("web").principal}"]}}}}]
"""
        )
        await eventually(lambda: _refused(here), "plaintext is refused")
        await here.answers({"alice", "legacy"})
        assert await first_line(WEB, here.tcp, b"hello\n") == "opaque 127.0.0.1"
        assert await _status(here, "web") == 200
        assert await _status(here, "bob") == 403


async def _refused(here: Scene) -> bool:
    return not await here.plain()


async def _status(here: Scene, name: str) -> int:
    """What alice's sidecar answers to a caller with the certificate of an account."""
    tls = await here.made.client(name)
    reader, writer = await asyncio.open_connection(ALICE, here.http, ssl=tls)
    try:
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()
