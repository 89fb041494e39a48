"""Every identity asks for everything of every other, through the daemon's own ports, and is given what is meant for it."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from api.client import Client
from api.credentials_client import CredentialsClient
from api.joining_client import JoiningClient
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from tests.e2e.asking import accepted, ask, encoded, metric, thing
from tests.lab.asking_all import TYPES, Claims, Given, asks_by_state, asks_incrementally, proving
from tests.lab.certificates import Authority
from tests.lab.daemon import Daemon
from tests.lab.ports import free_port
from tests.lab.tokens import TokenIssuer
from tests.server.client import DELTA, Call
from xdsd.snapshot import CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET, VIRTUAL_HOST

pytestmark = pytest.mark.e2e

TENANTS = ("bank", "shop", "evil")
ADDRESSES = {"bank": "10.9.1.1", "shop": "10.9.2.1", "evil": "10.9.3.1"}

AUDIENCES: Mapping[str, Mapping[str, frozenset[str]]] = {
    # What is marked, whose it is, and who may see it.
    **{
        kind: {each: frozenset({each}) for each in TENANTS}
        for kind in (
            "private",
            "opaque",
            "passing",
            "header",
            "subset",
            "principal",
            "issuer",
            "limit",
            "stat",
        )
    },
    "shared": {each: frozenset(TENANTS) for each in TENANTS},
    "friends": {"bank": frozenset({"bank", "shop"})},
    "secret": {each: frozenset({each}) for each in TENANTS},
}
EDGE_ONLY = frozenset({"secret"})


def mark(kind: str, namespace: str) -> str:
    """Text that stands in what one object leads to, and nowhere else."""
    return f"mark-{kind}-{namespace}"


def entry(kind: str, namespace: str, port: int, protocol: str, *export_to: str) -> dict[str, Any]:
    name = mark(kind, namespace)
    spec: dict[str, Any] = {
        "hosts": [f"{name}.example"],
        "ports": [{"number": port, "name": protocol.lower(), "protocol": protocol}],
        "resolution": "STATIC",
        "location": "MESH_INTERNAL",
        "endpoints": [{"address": ADDRESSES[namespace], "labels": {"app": namespace, "version": "v1"}}],
        "exportTo": list(export_to),
    }
    if protocol == "TCP":
        spec["addresses"] = [f"10.99.{TENANTS.index(namespace)}.1"]
    return made("ServiceEntry", name, namespace, spec)


def made(kind: str, name: str, namespace: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    found = thing(kind, name, spec)
    found["metadata"]["namespace"] = namespace
    return found


def objects_of(namespace: str) -> list[dict[str, Any]]:
    """One of each kind that a tenant keeps to itself, and services for others."""
    shared = f"{mark('shared', namespace)}.example"
    header = {"response": {"set": {"x-mark": mark("header", namespace)}}}
    route = {
        "route": [{"destination": {"host": shared, "subset": mark("subset", namespace)}}],
        "headers": header,
    }
    subset = {"name": mark("subset", namespace), "labels": {"version": "v1"}}
    rule = {"from": [{"source": {"principals": [f"cluster.local/ns/x/sa/{mark('principal', namespace)}"]}}]}
    keys = TokenIssuer(mark("issuer", namespace))
    patch = {
        "applyTo": "CLUSTER",
        "patch": {"operation": "MERGE", "value": {"alt_stat_name": mark("stat", namespace)}},
    }
    limited = {"requests": 100, "unit": "SECOND"}
    page = {"body": {"string": mark("limit", namespace)}}
    selected = {"selector": {"matchLabels": {"app": namespace}}}
    server = {"port": {"number": 8443, "name": "https", "protocol": "HTTPS"}, "hosts": [shared]}
    server["tls"] = {"mode": "SIMPLE", "credentialName": mark("secret", namespace)}
    return [
        entry("private", namespace, 8080, "HTTP", "."),
        entry("opaque", namespace, 9000, "TCP", "."),
        entry("passing", namespace, 9443, "TLS", "."),
        entry("shared", namespace, 8080, "HTTP", "*"),
        made("VirtualService", "own", namespace, {"hosts": [shared], "exportTo": ["."], "http": [route]}),
        made("DestinationRule", "own", namespace, {"host": shared, "exportTo": ["."], "subsets": [subset]}),
        made("AuthorizationPolicy", "own", namespace, {**selected, "rules": [rule]}),
        made(
            "RequestAuthentication",
            "own",
            namespace,
            {**selected, "jwtRules": [{"issuer": keys.name, "jwks": keys.jwks}]},
        ),
        made("EnvoyFilter", "own", namespace, {"configPatches": [patch]}),
        made("RateLimit", "own", namespace, {**selected, "local": [{"limit": limited}], "response": page}),
        made("Gateway", "own", namespace, {"selector": {"edge": namespace}, "servers": [server]}),
    ]


@dataclass(frozen=True, slots=True)
class Scene:
    """A daemon with one of everything of every tenant, and each tenant's connection and token."""

    daemon: Daemon
    channels: Mapping[str, grpc.aio.Channel]
    tokens: Mapping[str, str]

    def honest(self, namespace: str, role: str = "sidecar") -> Claims:
        """What a tenant's own proxy says of itself."""
        labels = {"app": namespace} if role == "sidecar" else {"edge": namespace}
        return Claims(namespace, namespace, role, ADDRESSES[namespace], labels=labels)

    async def given(self, namespace: str, claims: Claims, names: Mapping[str, set[str]]) -> Given:
        return await asks_incrementally(self.channels[namespace], self.tokens[namespace], claims, names)


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    port = free_port()
    settings = {
        "xds-tls-address": f"127.0.0.1:{port}",
        "settle-quiet": "5ms",
        "virtual-hosts": "discovered",
    }
    async with Daemon(folder, settings) as daemon, AsyncExitStack() as stack:
        pki = Authority(folder / "pki")
        for each in TENANTS:
            await ask(daemon, secret_of(each, pki))
        objects = [obj for each in TENANTS for obj in objects_of(each)]
        objects.append(entry("friends", "bank", 8080, "HTTP", ".", "shop"))
        accepted(await ask(daemon, lambda client: client.apply(encoded(objects))))
        tokens = {each: await token(daemon, each) for each in TENANTS}
        root = (await ask(daemon, lambda client: JoiningClient(client).trust())).bundle
        channels = {
            each: await stack.enter_async_context(proving(port, root, tokens[each])) for each in TENANTS
        }
        yield Scene(daemon, channels, tokens)


def secret_of(namespace: str, pki: Authority) -> Callable[[Client], Any]:
    """Keeps a certificate and key for a tenant's gateways."""
    pair = pki.issue(mark("secret", namespace), f"DNS:{mark('shared', namespace)}.example")
    files = {"tls.crt": pair.cert.read_bytes(), "tls.key": pair.key.read_bytes()}
    request = pb.PutCredentialRequest(
        namespace=namespace, name=mark("secret", namespace), kind="tls", files=files
    )
    return lambda client: CredentialsClient(client).put(request)


async def token(daemon: Daemon, namespace: str) -> str:
    request = pb.CreateJoinTokenRequest(namespace=namespace, service_account="app", ttl_seconds=900)
    return str((await ask(daemon, lambda client: JoiningClient(client).create_token(request))).token)


def leaks(given: Given, namespace: str) -> list[str]:
    """The marks that a stream was given and may not have."""
    text = given.text()
    return [
        mark(kind, owner)
        for kind, audiences in AUDIENCES.items()
        for owner, audience in audiences.items()
        if namespace not in audience and mark(kind, owner).encode() in text
    ]


def missed(given: Given, namespace: str, kinds: set[str]) -> set[str]:
    """The marks of these kinds that a stream may have and was not given."""
    text = given.text()
    wanted = {
        mark(kind, owner)
        for kind, audiences in AUDIENCES.items()
        for owner, audience in audiences.items()
        if kind in kinds and namespace in audience
    }
    return {each for each in wanted if each.encode() not in text}


def pretences(own: Claims, victim: Claims) -> list[Claims]:
    """What a proxy may say to pass for another's, of what no proof contradicts."""
    labels = {"app": victim.namespace, "edge": victim.namespace}
    domain = f"{victim.namespace}.svc.cluster.local"
    names = {"name": victim.name, "address": victim.address, "labels": labels, "domain": domain}
    metadata = {
        "CLUSTER_ID": victim.namespace,
        "NETWORK": victim.namespace,
        "WORKLOAD_NAME": victim.name,
        "OWNER": f"kubernetes://apis/apps/v1/namespaces/{victim.namespace}/deployments/{victim.name}",
        "CONFIG_NAMESPACE": victim.namespace,
        "SERVICE_ACCOUNT": "app",
        "ENABLE_SELF_DISCOVERY": "true",
        "DNS_CAPTURE": "true",
    }
    return [
        replace(own, **names, role=role, metadata=metadata)  # type: ignore[arg-type]  # as they are
        for role in ("sidecar", "router")
    ]


async def test_every_identity_asks_for_everything_of_every_other(tmp_path: Path) -> None:
    """Whatever a proxy claims and by whatever name it asks, over either dialect, it gets what its proven namespace may see:
    no cluster, endpoint, listener, route, virtual host, filter or secret of another's beyond exportTo.
    """
    async with scene(tmp_path) as made_scene:
        names: dict[str, set[str]] = {each: set() for each in TYPES}
        # What each sees honestly is what the others will ask for.
        for namespace in TENANTS * 2:
            for role in ("sidecar", "router"):
                given = await made_scene.given(namespace, made_scene.honest(namespace, role), names)
                for type_url, found in [*given.names().items(), *given.leads_to().items()]:
                    names[type_url] |= found
        for namespace in TENANTS:
            names[SECRET] |= {f"kubernetes://{mark('secret', namespace)}"}
            names[SECRET] |= {f"kubernetes://{namespace}/{mark('secret', namespace)}", "default", "ROOTCA"}
        assert all(names.values()), {each: len(found) for each, found in names.items()}
        hosts = {name.split("|")[3]: name.split("|")[1] for name in names[CLUSTER] if name.startswith("out")}
        assert {mark("private", each) + ".example" for each in TENANTS} <= hosts.keys()
        names[ROUTE] |= set(hosts.values())
        names[VIRTUAL_HOST] |= {
            f"{port}{end}/{host}{more}"
            for host, port in hosts.items()
            for end in ("", ".vhds")
            for more in ("", f":{port}")
        }

        refused_before = await metric(made_scene.daemon, "xdsd_refused_secrets_total")
        for namespace in TENANTS:
            own = made_scene.honest(namespace)
            given = await made_scene.given(namespace, own, names)
            assert leaks(given, namespace) == []
            assert missed(given, namespace, AUDIENCES.keys() - EDGE_ONLY) == set()
            edge = await made_scene.given(namespace, made_scene.honest(namespace, "router"), names)
            assert leaks(edge, namespace) == []
            assert missed(edge, namespace, {"secret"}) == set()
            for victim in TENANTS:
                if victim == namespace:
                    continue
                for claims in pretences(own, made_scene.honest(victim)):
                    given = await made_scene.given(namespace, claims, names)
                    assert leaks(given, namespace) == [], f"{namespace} as {claims}"
        assert await metric(made_scene.daemon, "xdsd_refused_secrets_total") > refused_before
        await _by_state(made_scene, names)
        await _claims_are_refused(made_scene)


async def _by_state(made_scene: Scene, names: Mapping[str, set[str]]) -> None:
    """The same over the dialect of the state of the world, by name."""
    known = {
        CLUSTER: "outbound|8080||{}",
        ENDPOINT: "outbound|8080||{}",
        LISTENER: "virtualOutbound",
        ROUTE: "8080",
        SECRET: "default",
    }
    for namespace in TENANTS:
        for type_url, pattern in known.items():
            name = pattern.format(f"{mark('shared', namespace)}.example")
            given = await asks_by_state(
                made_scene.channels[namespace],
                made_scene.tokens[namespace],
                made_scene.honest(namespace),
                type_url,
                names[type_url],
                name,
            )
            assert leaks(given, namespace) == []


async def _claims_are_refused(made_scene: Scene) -> None:
    """Who says to be of another namespace or service account than it proved is refused, on both dialects."""
    evil = made_scene.honest("evil")
    for claims in (
        made_scene.honest("bank"),
        made_scene.honest("bank", "router"),
        replace(evil, metadata={"NAMESPACE": "bank"}),
        replace(evil, metadata={"SERVICE_ACCOUNT": "vault"}),
    ):
        call = Call(
            made_scene.channels["evil"],
            DELTA,
            "",
            metadata=(("authorization", f"Bearer {made_scene.tokens['evil']}"),),
        )
        await call.asks(SECRET, "default", node=claims.node())
        code, details = await call.ends()
        assert code is grpc.StatusCode.PERMISSION_DENIED, details
        assert "spiffe://cluster.local/ns/evil/sa/app" in details
