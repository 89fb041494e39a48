"""What a real Consul does that no stand-in would think of."""

import contextlib
import json
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.registry import Recorder, running
from tests.lab.certificates import Authority
from tests.lab.consul import ConsulAgent
from tests.lab.eventually import eventually
from tests.lab.relay import Relay
from tests.registry.consul.test_contract import QUICK
from xdsd.model.catalog import Endpoint, Health, ServiceKey
from xdsd.registry.consul import Consistency, ConsulOptions
from xdsd.registry.consul.held import read
from xdsd.registry.consul.judging import Judge
from xdsd.registry.consul.registry import ConsulRegistry
from xdsd.registry.consul.timing import Timing
from xdsd.registry.holding import FILE
from xdsd.registry.last_good import LastGood

ROOT = Path(__file__).parents[3]
A, B, WEB = (ServiceKey("default", f"{name}.service.consul") for name in ("a", "b", "web"))

pytestmark = pytest.mark.e2e


@contextlib.asynccontextmanager
async def following(consul: ConsulAgent, timing: Timing = QUICK, **options: Any) -> AsyncIterator[Recorder]:
    async with running(
        ConsulRegistry(consul.url, ConsulOptions(**options), "mesh.local", timing=timing)
    ) as sink:
        yield sink


async def is_at(sink: Recorder, address: str, **fields: object) -> None:
    """Waits until web has one endpoint, which is like this."""

    def holds() -> None:
        assert len(sink.catalog.endpoints(WEB)) == 1
        (endpoint,) = sink.catalog.endpoints(WEB)
        assert {"address": endpoint.address} | {name: getattr(endpoint, name) for name in fields} == {
            "address": address,
            **fields,
        }

    await eventually(holds, f"web is at {address} with {fields}")


async def test_everything_that_counts_of_an_instance(tmp_path: Path) -> None:
    """Consul's own spelling of all of it, each change of it, services in any case, and consistency of all three kinds."""
    async with ConsulAgent(tmp_path, forgetful=True) as consul:
        await consul.register(
            "Web",
            "web-1",
            port=8080,
            node_address="10.1.0.7",
            node_meta={"region": "eu", "zone": "eu-1"},
            Tags=["version=v1", "canary"],
            Meta={"protocol": "grpc", "service-account": "web", "tls-mode": "istio"},
            Weights={"Passing": 7, "Warning": 2},
            TaggedAddresses={"wan": {"Address": "198.51.100.1", "Port": 443}},
        )
        await consul.register(
            "web",
            "web-1-sidecar-proxy",
            node="proxies",
            address="10.0.0.9",
            Kind="connect-proxy",
            Proxy={"DestinationServiceName": "web"},
        )
        async with following(consul) as sink:
            await sink.told("synced")
            assert sink.mistakes == []
            assert list(sink.services()) == [WEB]
            (endpoint,) = sink.catalog.endpoints(WEB)
            assert endpoint == Endpoint(
                "10.1.0.7",
                {"grpc": 8080},
                {
                    "version": "v1",
                    "canary": "true",
                    "protocol": "grpc",
                    "service-account": "web",
                    "tls-mode": "istio",
                    "security.istio.io/tlsMode": "istio",
                },
                locality="eu/eu-1",
                weight=7,
                service_account="web",
            )
            await consul.check("web-1", "warning")
            await is_at(sink, "10.1.0.7", health=Health.HEALTHY, weight=2)
            await consul.check("web-1", "critical")
            await is_at(sink, "10.1.0.7", health=Health.UNHEALTHY)
            await consul.check("web-1", "passing")
            await is_at(sink, "10.1.0.7", health=Health.HEALTHY, weight=7)
            node = {"Node": "machine", "Address": "10.1.0.8"}
            await consul.txn([{"Node": {"Verb": "set", "Node": node}}])
            await is_at(sink, "10.1.0.8", locality="dc1")
            down = {"Node": "machine", "CheckID": "serfHealth", "Status": "critical"}
            await consul.txn([{"Check": {"Verb": "set", "Check": down}}])
            await is_at(sink, "10.1.0.8", health=Health.UNHEALTHY)
        for consistency in (Consistency.STALE, Consistency.CONSISTENT):
            async with following(consul, consistency=consistency, address=("wan",)) as sink:
                await sink.told("synced")
                await is_at(sink, "198.51.100.1", ports={"grpc": 443})
                assert sink.mistakes == []


async def test_what_a_client_agent_reports(tmp_path: Path) -> None:
    """Through a client agent too: its own services, their maintenance, and its end."""
    async with (
        ConsulAgent(tmp_path, forgetful=True) as server,
        ConsulAgent(tmp_path, name="two", join=server) as agent,
        following(agent) as sink,
    ):
        await sink.told("synced")
        await agent.put("/v1/agent/service/register", {"Name": "web", "ID": "web-1", "Port": 8080})
        await is_at(sink, "127.0.0.1", health=Health.HEALTHY)
        await agent.run("maint", "-enable", "-service", "web-1", "-reason", "test")
        await is_at(sink, "127.0.0.1", health=Health.DRAINING)
        await agent.run("maint", "-disable", "-service", "web-1")
        await is_at(sink, "127.0.0.1", health=Health.HEALTHY)
        await agent.run("maint", "-enable")
        await is_at(sink, "127.0.0.1", health=Health.DRAINING)
        await agent.run("maint", "-disable")
        await is_at(sink, "127.0.0.1", health=Health.HEALTHY)
        await agent.stop()
        await sink.told("stale")
        assert list(sink.services()) == [WEB]


async def test_a_consul_that_hangs_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen process, as a cut network: what was known holds, and what changed meanwhile is found afterwards."""
    async with ConsulAgent(tmp_path, forgetful=True) as consul:
        await consul.register("a", "a-1", address="10.0.0.1")
        async with following(
            consul, Timing(names=0.5, service=60.0, first_pause=0.05, longest_pause=0.2)
        ) as sink:
            await sink.told("synced")
            consul.program.signal(signal.SIGSTOP)
            with monkeypatch.context() as hasty:
                # While it runs it may take its time.
                hasty.setattr("xdsd.registry.consul.client._GRACE_SECONDS", 0.5)
                hasty.setattr("xdsd.registry.consul.client._ANSWER_SECONDS", 1.0)
                hasty.setattr("xdsd.registry.consul.listing._AGAIN_SECONDS", 1.0)
                await sink.told("stale")
            assert sink.services() == {A: ["10.0.0.1"]}
            consul.program.signal(signal.SIGCONT)
            await sink.told("synced", 2)
            assert len(sink.changes) == 1
            await consul.register("a", "a-2", address="10.0.0.2")
            await sink.sees({A: ["10.0.0.1", "10.0.0.2"]})
            assert sink.mistakes == []


async def test_a_consul_that_lost_its_data(tmp_path: Path, time_is_over: Callable[[], None]) -> None:
    """Emptied, or restored from a snapshot: nothing leaves that may run on, and only what differs is told."""
    async with ConsulAgent(tmp_path) as consul:
        await consul.register("a", "a-1", address="10.0.0.1")
        await consul.save(tmp_path / "snapshot")
        await consul.register("a", "a-2", address="10.0.0.2")
        await consul.register("b", "b-1", address="10.0.0.3")
        everything = {A: ["10.0.0.1", "10.0.0.2"], B: ["10.0.0.3"]}
        async with following(consul) as sink:
            await sink.told("synced")
            told = len(sink.changes)
            await consul.restore(tmp_path / "snapshot")
            await eventually(lambda: "2 instances of a, b" in str(sink.mistakes), "it is noticed")
            assert sink.services() == everything
            await consul.register("a", "a-2", address="10.0.0.2")
            await consul.register("b", "b-1", address="10.0.0.3")
            await eventually(lambda: not sink.mistakes, "all are there again")
            assert len(sink.changes) == told
            await consul.empty()
            await sink.told("synced", 2)
            assert sink.services() == everything
            assert "3 instances of a, b" in str(sink.mistakes)
            await consul.register("b", "b-1", address="10.0.0.4")
            await sink.sees({**everything, B: ["10.0.0.4"]})
            time_is_over()
            await sink.sees({B: ["10.0.0.4"]})
            assert sink.mistakes == []


async def test_what_a_consul_forgot_outlives_the_daemon(
    tmp_path: Path, time_is_over: Callable[[], None]
) -> None:
    """A registry that begins anew holds what the one before it held, for no longer, and without what came back meanwhile."""
    copies = LastGood(tmp_path / "copies")

    def registry(consul: ConsulAgent) -> ConsulRegistry:
        return ConsulRegistry(consul.url, ConsulOptions(), "mesh.local", timing=QUICK, copies=copies)

    def until() -> float:
        data = copies.load(FILE)
        assert data is not None
        return read(data).until

    async with ConsulAgent(tmp_path) as consul:
        await consul.register("a", "a-1", address="10.0.0.1")
        await consul.register("a", "a-2", address="10.0.0.2")
        await consul.register("b", "b-1", address="10.0.0.3")
        async with running(registry(consul)) as sink:
            await sink.told("synced")
            await consul.empty()
            await sink.told("synced", 2)
            await consul.register("a", "a-2", address="10.0.0.2")
            await eventually(lambda: "2 instances of a, b" in str(sink.mistakes), "one is back")
        before = until()
        async with running(registry(consul)) as sink:
            await sink.told("synced")
            await eventually(lambda: "2 instances of a, b" in str(sink.mistakes), "the others are held")
            assert sink.services() == {A: ["10.0.0.1", "10.0.0.2"], B: ["10.0.0.3"]}
            await consul.deregister("a-2")
            await sink.sees({A: ["10.0.0.1"], B: ["10.0.0.3"]})
        assert until() == before
        async with running(registry(consul)) as sink:
            await sink.told("synced")
            assert sink.services() == {A: ["10.0.0.1"], B: ["10.0.0.3"]}
            time_is_over()
            await sink.sees({})
            assert sink.mistakes == []
        async with running(registry(consul)) as sink:
            await sink.told("synced")
            assert sink.services() == {}


async def test_tls_and_the_least_rights(tmp_path: Path) -> None:
    """With the policy that is delivered everything is read, without a token nothing is believed, and a token that is
    taken away takes no service with it.
    """
    authority = Authority(tmp_path / "ca")
    token = tmp_path / "token"
    policy = ROOT / "deploy" / "consul" / "xdsd-policy.hcl"
    async with ConsulAgent(tmp_path, tls=authority, acl=True, forgetful=True) as consul:
        assert consul.client is not None
        await consul.run("acl", "policy", "create", "-name", "xdsd", "-rules", f"@{policy}")
        made = json.loads(
            await consul.run("acl", "token", "create", "-policy-name", "xdsd", "-format", "json")
        )
        await consul.register("a", "a-1", address="10.0.0.1")
        files: dict[str, Any] = {
            "ca": consul.ca,
            "cert": consul.client.cert,
            "key": consul.client.key,
            "token_file": token,
        }
        token.write_text("")
        async with following(consul, **files) as sink:
            await sink.told("stale")
            assert sink.log == ["stale"]
            token.write_text(made["SecretID"])
            await sink.told("synced")
            assert sink.services() == {A: ["10.0.0.1"]}
            assert sink.mistakes == []
            await consul.run("acl", "token", "delete", "-id", made["AccessorID"])
            await sink.told("stale", 2)
            assert sink.services() == {A: ["10.0.0.1"]}
        async with following(consul, ca=consul.ca, token_file=token) as sink:
            await sink.told("stale")
        token.write_text(consul.root)
        other = tmp_path / "authority.pem"
        other.write_bytes(Authority(tmp_path / "other").cert.read_bytes())
        async with following(consul, **{**files, "ca": other}) as sink:
            await sink.told("stale")
            other.write_bytes(authority.cert.read_bytes())
            await sink.told("synced")
        async with following(consul, cert=files["cert"], key=files["key"], token_file=token) as sink:
            await sink.told("stale")


async def test_rights_that_are_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Consul moves no index for rights: what is hidden from a token is served as it was, and read once it may be."""
    hidden: dict[str, int] = {}
    hide = Judge._hide

    def noted(self: Judge, name: str, index: int, count: int) -> None:
        hidden[name] = index
        hide(self, name, index, count)

    monkeypatch.setattr(Judge, "_hide", noted)
    rights = {"nodes": 'node_prefix "" {policy = "read"}', "all": 'service_prefix "" {policy = "read"}'}
    rights |= {"one": 'service "b" {policy = "read"} service "consul" {policy = "read"}'}
    acl = {"policy_ttl": "0s", "token_ttl": "0s"}
    token = tmp_path / "token"

    async def allow(verb: str, *words: str) -> str:
        rules = " ".join(rights[word] for word in words)
        return await consul.run("acl", "policy", verb, "-name", "xdsd", "-rules", rules)

    async with ConsulAgent(tmp_path, acl=True, forgetful=True, acl_config=acl) as consul:
        await allow("create", "all")
        made = await consul.run("acl", "token", "create", "-policy-name", "xdsd", "-format", "json")
        token.write_text(json.loads(made)["SecretID"])
        await consul.register("a", "a-1", address="10.0.0.1")
        await consul.register("b", "b-1", address="10.0.0.2")
        both = {A: ["10.0.0.1"], B: ["10.0.0.2"]}
        async with following(consul, Timing(names=1.0, service=1.0), token_file=token) as sink:
            await sink.told("synced")
            assert "listed without any instance" in "".join(map(str, sink.mistakes))
            assert sink.services() == {}
            await allow("update", "all", "nodes")
            await sink.sees(both)
            await eventually(lambda: not sink.mistakes, "nothing is hidden any more")
            await allow("update", "all")
            await eventually(lambda: len(sink.mistakes) == 2, "both are hidden")
            before = hidden["a"]
            await consul.register("a", "a-2", address="10.0.0.9")
            await eventually(lambda: hidden["a"] > before, "that is hidden too")
            await allow("update", "one", "nodes")
            await eventually(lambda: [each.object.name for each in sink.mistakes if each.object] == ["a"])
            assert sink.services() == both
            await allow("update", "all", "nodes")
            await sink.sees({A: ["10.0.0.1", "10.0.0.9"], B: ["10.0.0.2"]})
            await consul.deregister("b-1")
            await sink.sees({A: ["10.0.0.1", "10.0.0.9"]})
            await eventually(lambda: not sink.mistakes, "nothing is hidden any more")
            assert sink.log.count("stale") == 0


async def test_a_consul_that_lost_its_data_and_counts_on(
    tmp_path: Path, time_is_over: Callable[[], None]
) -> None:
    """Though its index is beyond the one that was known when it is asked again."""
    async with ConsulAgent(tmp_path) as consul, Relay(consul.port) as relay:
        for number in range(3):
            await consul.register("a", f"a-{number}", address=f"10.0.0.{number}")
        await consul.register("b", "b-1", address="10.0.0.9")
        registry = ConsulRegistry(
            f"http://127.0.0.1:{relay.port}", ConsulOptions(), "mesh.local", timing=QUICK
        )
        async with running(registry) as sink:
            await sink.told("synced")
            known = sink.services()
            await relay.cut()
            await consul.empty()
            for number in range(150):
                await consul.put(f"/v1/kv/{number}", number)
            await consul.register("a", "a-0", address="10.0.0.0")
            await relay.mend()
            await eventually(lambda: "3 instances of a, b are served" in "".join(map(str, sink.mistakes)))
            assert sink.services() == known
            time_is_over()
            await sink.sees({A: ["10.0.0.0"]})
