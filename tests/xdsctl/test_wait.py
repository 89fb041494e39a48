"""``xdsctl wait``: how far daemons and proxies are, by what they report."""

import asyncio
import json
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from storage.base import StoreStatus
from tests.api.daemon import Daemon, daemon
from tests.api.mesh import NODE, OTHER, status
from tests.lab.daemon import Daemon as LabDaemon
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.ports import free_port
from tests.xdsctl.conftest import Xdsctl
from tests.xdsctl.manifests import BOTH, REVIEWS
from tests.xdsctl.test_live import DOOR, SHOP, states
from xdsd.model.problem import ObjectRef, Problem, Reason
from xdsd.protocol.watch import Rejection, State
from xdsd.server import ProxyStatus
from xdsd.snapshot import CLUSTER, ROUTE


def proxy(node: str = NODE, **states: State) -> ProxyStatus:
    """A stream with clusters and routes, in sync unless ``CLUSTER`` or ``ROUTE`` say otherwise."""
    found = status(node)
    kinds = {each.type_url: each for each in found.types}
    clusters = replace(kinds[CLUSTER], state=states.get("cluster", State.SYNCED))
    state = states.get("route", State.SYNCED)
    rejected = (Rejection("9080", "v", "duplicate domain"),) if state is State.NACKED else ()
    routes = replace(kinds[ROUTE], state=state, error="", rejected=rejected)
    return replace(found, types=(clusters, routes))


@pytest.fixture
def while_it_waits(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Does something when a command has looked once, and waits before it looks again."""

    def use(act: Callable[[], None]) -> None:
        clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: act())
        monkeypatch.setattr("api.commands.wait.time", clock)

    return use


def test_wait_returns_at_once_where_all_is_in_sync(server: Daemon, xdsctl: Xdsctl) -> None:
    """The newest change is compiled, and every proxy has acknowledged what it was sent."""
    xdsctl("apply", "-f", "-", input=BOTH)
    server.mesh.revision = server.run(server.store.revision())
    server.proxies.streams = [proxy(), proxy(OTHER)]
    result = xdsctl("wait", "--for=synced")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"2 proxies are in sync with revision {server.mesh.revision}\n"


def test_wait_says_that_nobody_is_there(server: Daemon, xdsctl: Xdsctl) -> None:
    """Without a proxy nothing is in sync: what is known is that the daemon compiled it."""
    xdsctl("apply", "-f", "-", input=REVIEWS)
    server.mesh.revision, server.proxies.streams = server.run(server.store.revision()), []
    result = xdsctl("wait", "--for=synced")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"revision {server.mesh.revision} is compiled\n"
    assert result.stderr == "Warning: no proxy is connected, so none of them has the change\n"
    found = xdsctl("wait", "--for=synced", "-o", "json")
    assert json.loads(found.stdout)["proxies"] == 0
    assert found.stderr == result.stderr


def test_wait_outlasts_compiling_and_acknowledging(
    server: Daemon, xdsctl: Xdsctl, while_it_waits: Callable[[Callable[[], None]], None]
) -> None:
    """What is late comes, and ends it."""
    xdsctl("apply", "-f", "-", input=REVIEWS)
    server.proxies.streams = [proxy(cluster=State.STALE)]

    def acknowledge() -> None:
        server.mesh.revision = 2
        server.proxies.streams = [proxy()]

    while_it_waits(acknowledge)
    result = xdsctl("wait", "--for=synced", "vs", "reviews", "-o", "json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["synced"], found["revision"], found["stragglers"]) == (0, True, 2, [])


def test_stragglers_are_named_when_the_time_is_over(server: Daemon, xdsctl: Xdsctl) -> None:
    """Each with every type that it lacks, and the daemon that has not compiled."""
    server.mesh.revision = 1
    server.proxies.streams = [proxy(cluster=State.STALE, route=State.NOT_SENT), proxy(OTHER)]
    result = xdsctl("wait", "--for=synced", "--revision", "3", "--timeout", "300ms")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "Error: not in sync with revision 3 after 0.3 seconds",
        f"the daemon at {server.endpoint} has compiled revision 1",
        "productpage-v1.default: CDS STALE, RDS NOT SENT",
    ]


def test_a_rejection_ends_the_waiting(server: Daemon, xdsctl: Xdsctl) -> None:
    """Proxy, type and what it said; as data too."""
    server.proxies.streams = [proxy(route=State.NACKED), proxy(OTHER, cluster=State.STALE)]
    result = xdsctl("wait", "--for=synced")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "Error: revision 0 is rejected",
        "productpage-v1.default: RDS NACKED (9080: duplicate domain)",
    ]
    found = json.loads(xdsctl("wait", "--for=synced", "-o", "json").stdout)
    assert found["stragglers"][0]["types"] == {"rds": {"state": "NACKED", "error": "9080: duplicate domain"}}


def test_who_is_to_blame_for_a_rejection_is_told(server: Daemon, xdsctl: Xdsctl) -> None:
    """The objects whose fields proxies cannot have are named with them, by ``proxies`` too; other problems are not."""
    server.proxies.streams = [proxy(route=State.NACKED)]
    rule = ObjectRef("DestinationRule", "default", "nt")
    server.mesh.found = [
        Problem(Reason.REJECTED_BY_PROXY, "gw.default says: no", rule, "spec.trafficPolicy"),
        Problem(Reason.REJECTED_BY_PROXY, "of nobody"),
        Problem(Reason.CONFLICT, "other", rule),
    ]
    line = "DestinationRule default/nt spec.trafficPolicy: gw.default says: no (RejectedByProxy)"
    for words in (("wait", "--for=synced"), ("proxies",)):
        assert xdsctl(*words).stderr.splitlines()[-1] == line


def test_a_rejection_that_is_being_mended_does_not(
    server: Daemon, xdsctl: Xdsctl, while_it_waits: Callable[[Callable[[], None]], None]
) -> None:
    """A proxy may still reject what was there before the change."""
    server.proxies.streams = [proxy(route=State.NACKED)]
    while_it_waits(lambda: setattr(server.proxies, "streams", [proxy()]))
    assert xdsctl("wait", "--for=synced").exit_code == 0


def test_a_revision_that_changed_no_object_is_not_waited_for(server: Daemon, xdsctl: Xdsctl) -> None:
    """Other keys raise the store's revision, and nothing is compiled for them."""
    xdsctl("apply", "-f", "-", input=REVIEWS)
    server.mesh.revision = 2
    for _ in range(5):
        server.run(server.store.put(b"other", b""))
    assert xdsctl("wait", "--for=synced", "--revision", "6").exit_code == 0
    assert xdsctl("wait", "--for=synced", "--revision", "9", "--timeout", "200ms").exit_code == 1


def test_all_daemons_are_asked(server: Daemon, xdsctl: Xdsctl, tmp_path: Path) -> None:
    """One that lags keeps everybody waiting."""
    (tmp_path / "two").mkdir()
    server.mesh.revision = 5
    with daemon(tmp_path / "two") as other:
        for each in (server, other):
            each.health.told = StoreStatus("etcd", "3.5.16", 5, 0, 0, 0)
        words = (
            "wait",
            "--for=synced",
            "--revision",
            "5",
            "--timeout",
            "300ms",
            "--endpoint",
            other.endpoint,
        )
        late = xdsctl(*words)
        assert late.exit_code == 1
        assert f"the daemon at {other.endpoint} has compiled revision 0" in late.stderr
        other.mesh.revision = 5
        other.proxies.streams = [proxy()]
        assert xdsctl(*words).stdout == "1 proxy is in sync with revision 5\n"


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ((), 2, "Missing option '--for'"),
        (("--for=synced", "vs"), 2, "name objects as KIND/NAME"),
        (("--for=synced", "vs/a", "--revision", "3"), 2, "leave --revision out"),
        (("--for=synced", "--timeout", "soon"), 2, "Invalid value for '--timeout'"),
        (
            ("--for=synced", "vs/nope"),
            1,
            'virtualservices.networking.istio.io "nope" not found in namespace default',
        ),
    ],
)
def test_what_cannot_be_waited_for_is_said(
    server: Daemon, xdsctl: Xdsctl, words: tuple[str, ...], code: int, sentence: str
) -> None:
    """Wrong usage with 2, an object that is not there with 1."""
    result = xdsctl("wait", *words)
    assert result.exit_code == code
    assert sentence in " ".join(result.stderr.split())


@pytest.mark.e2e
async def test_a_real_proxy_is_waited_for(tmp_path: Path) -> None:
    """An Envoy that hangs is the straggler; once it goes on, it acknowledges and the waiting ends."""
    port = free_port()
    async with LabDaemon(tmp_path) as lab:
        words = ("--type", "router", "--name", "gateway", "--labels", "app=gateway", "-o", "json")
        bootstrap = json.loads(await lab.xdsctl("bootstrap", *words, "--xds-address", lab.xds_address))
        await lab.xdsctl("apply", "-f", "-", text=f"{SHOP}---\n{DOOR.replace('PORT', str(port))}")
        async with Envoy(bootstrap, tmp_path) as envoy:

            async def in_sync() -> None:
                words = ("wait", "--for=synced", "vs/shop", "gw/door", "-o", "json")
                assert json.loads(await lab.xdsctl(*words))["proxies"] == 1

            await eventually(in_sync, "the gateway is in sync")
            envoy.program.signal(signal.SIGSTOP)
            await lab.xdsctl("apply", "-f", "-", text=SHOP.replace("9081", "9082"))

            async def sent() -> None:
                assert (await states(lab))["eds"] == "STALE"

            await eventually(sent, "it is sent the change")
            late = await lab.xdsctl("wait", "--for=synced", "--timeout", "500ms", check=False)
            assert "after 0.5 seconds" in late
            assert "gateway.default: EDS STALE" in late
            waiting = asyncio.create_task(lab.xdsctl("wait", "--for=synced", "se/shop", "-o", "json"))
            envoy.program.signal(signal.SIGCONT)
            found = json.loads(await waiting)
        assert (found["synced"], found["stragglers"], found["proxies"]) == (True, [], 1)
        assert found["daemons"] == [{"endpoint": lab.endpoint, "compiledRevision": found["revision"]}]
        other = json.loads(await lab.xdsctl("get", "se", "shop", "-o", "json"))
        assert found["revision"] == int(other["metadata"]["resourceVersion"])


def test_a_removal_is_waited_for_too(server: Daemon, xdsctl: Xdsctl) -> None:
    """The newest change is that of the newest record, not of the newest object that is left."""
    xdsctl("apply", "-f", "-", input=BOTH)
    server.mesh.revision = server.run(server.store.revision())
    xdsctl("delete", "vs", "reviews")
    result = xdsctl("wait", "--for=synced", "--timeout", "200ms")
    assert result.exit_code == 1
    assert f"not in sync with revision {server.run(server.store.revision())} after" in result.stderr
