"""Bookinfo on Kubernetes, on Consul and on bare machines at once: it works as one mesh, whatever becomes of the platforms.

Each visit of the page is a call of every program, so that a visit that fails is a request that failed somewhere.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.e2e.spread import (
    CALLERS,
    CONSUL,
    INSTANCES,
    KUBERNETES,
    MACHINES,
    NAMESERVER,
    PORT,
    Spread,
    identity,
    spread,
)
from tests.lab.bookshop import DATABASE, DATABASE_PORT, GREETING, QUESTION, RATINGS
from tests.lab.dns import ask
from tests.lab.eventually import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Spread]:
    async with spread(tmp_path_factory.mktemp("spread")) as found:
        yield found


async def test_every_pair_talks_by_name_with_mutual_tls(made: Spread) -> None:
    """Each program is called by those that have to, as who they are; nobody else is let in."""
    for name, version in INSTANCES:
        if f"{name}-{version}" in ("productpage-v1", "details-v1", "reviews-v2", "ratings-v1"):
            expected = {(identity(name), identity(caller)) for caller in CALLERS[name]}
            assert made.heard(f"{name}-{version}") == expected
    status, text, _ = await made.get(f"http://ratings:{PORT}/ratings/0")
    assert (status, text) == (403, "RBAC: access denied")
    with made.homes["details-v1"].entered():
        (address, *_) = (await ask(DATABASE, server=(NAMESERVER, 53))).addresses
        assert await _told(address) in ("", GREETING.decode())
    with made.homes["ratings-v1"].entered():
        assert await _told(address) == GREETING.decode() + json.dumps(RATINGS) + "\n"


async def test_a_machine_that_proves_another_identity_is_not_called(made: Spread) -> None:
    """Whoever calls checks that it is the service that its list says."""
    ratings = f"http://productpage:{PORT}/api/v1/products/0/ratings"

    async def status(expected: int) -> None:
        assert (await made.get(ratings))[0] == expected

    made.on_machines("ratings-v1", account="impostor")
    await eventually(lambda: status(503), "it is not called")
    made.on_machines("ratings-v1")
    await eventually(lambda: status(200), "it is called")


async def test_kubernetes_fails_no_request(made: Spread) -> None:
    """Stopped, emptied, restored, cut off and slowed; a change that is made then arrives."""
    backup = made.folder / "backup"
    await made.etcd.etcdctl("snapshot", "save", str(backup))
    async with made.load() as load:
        await made.kube.stop()
        await made.is_stale(KUBERNETES)
        await load.more(20)
        await made.etcd.stop()
        shutil.rmtree(made.etcd.data)
        await made.etcd.start()
        await made.kube.start()
        await load.more(20)
        await made.is_stale(KUBERNETES)
        await made.kube.stop()
        await made.etcd.restore(backup)
        await made.kube.start()
        await made.is_stale(KUBERNETES, stale=False)
        await made.on_kubernetes("productpage-v2")
        await made.served_by("productpage-v2", "reviews-v2", "ratings-v1")
        wire = made.wires[KUBERNETES]
        await wire.cut()
        await made.is_stale(KUBERNETES)
        await made.on_kubernetes("productpage-v1")
        await load.more(20)
        await wire.mend()
        await made.served_by("productpage-v1", "reviews-v2", "ratings-v1")
        wire.hang()
        await made.on_kubernetes("productpage-v1", "productpage-v2")
        await load.more(20)
        await wire.mend()
        await made.served_by("productpage-v1", "productpage-v2", "reviews-v2", "ratings-v1")
        wire.slow(0.3)
        await made.on_kubernetes("productpage-v2")
        await made.served_by("productpage-v2", "reviews-v2", "ratings-v1")
        await wire.mend()
        await made.on_kubernetes("productpage-v1")
        await made.served_by("productpage-v1", "reviews-v2", "ratings-v1")
    assert load.tally.failed == 0, load.tally


async def test_consul_fails_no_request(made: Spread) -> None:
    """The agent or the servers stopped, emptied, restored, cut off and slowed; a change that is made then arrives."""
    backup = made.folder / "consul.backup"
    await made.consul.save(backup)
    async with made.load() as load:
        await made.agent.stop()
        await made.is_stale(CONSUL)
        await load.more(20)
        await made.agent.start()
        await made.is_stale(CONSUL, stale=False)
        await made.consul.stop()
        await made.is_stale(CONSUL)
        await load.more(20)
        await made.consul.empty()
        await made.is_stale(CONSUL, stale=False)
        await load.more(20)
        await made.consul.restore(backup)
        await load.more(20)
        await made.on_consul("reviews-v3")
        await made.off_consul("reviews-v2")
        await made.served_by("productpage-v1", "reviews-v3", "ratings-v1")
        wire = made.wires[CONSUL]
        await wire.cut()
        await made.is_stale(CONSUL)
        await made.on_consul("reviews-v2")
        await load.more(20)
        await wire.mend()
        await made.served_by("productpage-v1", "reviews-v2", "reviews-v3", "ratings-v1")
        wire.hang()
        await made.off_consul("reviews-v2")
        await load.more(20)
        await made.on_consul("reviews-v2")
        await wire.mend()
        await made.served_by("productpage-v1", "reviews-v2", "reviews-v3", "ratings-v1")
        wire.slow(0.3)
        await made.off_consul("reviews-v3")
        await made.served_by("productpage-v1", "reviews-v2", "ratings-v1")
        await wire.mend()
    assert load.tally.failed == 0, load.tally


async def test_lists_of_machines_fail_no_request(made: Spread) -> None:
    """Out of reach, emptied, torn, restored, and written slowly; a change that is made then arrives."""
    lists, backup = made.daemon.machines, made.folder / "lists"
    shutil.copytree(lists, backup)
    file = lists / "ratings.yaml"
    async with made.load() as load:
        lists.rename(made.folder / "away")
        await made.is_stale(MACHINES)
        await load.more(20)
        (made.folder / "away").rename(lists)
        await made.is_stale(MACHINES, stale=False)
        lists.rename(made.folder / "volume")
        lists.mkdir()
        await made.is_stale(MACHINES)
        await load.more(20)
        for part in sorted(backup.iterdir()):
            shutil.copy(part, lists)
            await load.more(5)
        await made.is_stale(MACHINES, stale=False)
        file.write_text("")
        await load.more(20)
        shutil.copy(backup / file.name, file)
        for torn in lists.iterdir():
            torn.write_text(torn.read_text()[:-60] + "}")  # in the middle of a line, which makes it no YAML
        await eventually(lambda: _problems(made, "ratings.yaml"), "the lists are seen to be torn")
        await load.more(20)
        shutil.copytree(backup, lists, dirs_exist_ok=True)
        await eventually(lambda: _problems(made, "No problems found."), "they are restored")
        text = made.listed("ratings-v1", "ratings-v2")
        with file.open("w") as slow:
            slow.write(text[:200])
            slow.flush()
            await load.more(20)
            slow.write(text[200:])
        await made.served_by("productpage-v1", "reviews-v2", "ratings-v1", "ratings-v2")
    assert load.tally.failed == 0, load.tally
    made.on_machines("ratings-v1")
    await made.served_by("productpage-v1", "reviews-v2", "ratings-v1")


async def _problems(made: Spread, said: str) -> bool:
    return said in await made.daemon.xdsctl("problems", check=False)


async def _told(address: str) -> str:
    """All that the database tells whoever asks it from here, before it is told that this was all."""
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection(address, DATABASE_PORT)
        try:
            writer.write(QUESTION)
            writer.write_eof()
            return (await reader.read()).decode()
        except ConnectionError:
            return ""
        finally:
            writer.close()
