"""Real Envoys that prove who they are to a real daemon: by a join token, and by a certificate that they renew."""

import json
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from api.joining_client import JoiningClient
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from tests.e2e.asking import ask
from tests.lab.daemon import Daemon
from tests.lab.envoy import Bootstrap, Envoy
from tests.lab.etcd import EtcdServer
from tests.lab.eventually import eventually
from tests.lab.ports import free_ports

pytestmark = pytest.mark.e2e

REVIEWS = "spiffe://cluster.local/ns/shop/sa/reviews"


@dataclass(frozen=True, slots=True)
class Mesh:
    """A daemon with both TLS ports, and the file of its roots."""

    daemon: Daemon
    tls: str
    mtls: str
    root: Path

    async def token(self, **more: Any) -> str:
        """A join token of the service account reviews in the namespace shop."""
        request = pb.CreateJoinTokenRequest(
            namespace="shop", service_account="reviews", ttl_seconds=900, **more
        )
        made = await ask(self.daemon, lambda client: JoiningClient(client).create_token(request))
        return made.token

    async def bootstrap(self, name: str, *words: str | Path, namespace: str = "shop") -> Bootstrap:
        """Of a sidecar that claims the service account reviews."""
        said = ("--name", name, "-n", namespace, "--service-account", "reviews", "--interception", "none")
        made: Bootstrap = json.loads(await self.daemon.xdsctl("bootstrap", *said, "-o", "json", *words))
        return made

    async def proxies(self) -> list[pb.ProxyStatus]:
        """As the daemon lists them."""
        return await ask(self.daemon, lambda client: list(client.proxies()))

    async def connected(self, name: str) -> pb.ProxyStatus:
        """The one of this name, once it has a stream."""

        async def there() -> pb.ProxyStatus:
            found = [each for each in await self.proxies() if each.name == name]
            assert found
            return found[0]

        return await eventually(there, f"{name} is connected")

    async def issued(self, folder: Path, token: str) -> str:
        """What ``xdsctl cert issue`` says."""
        file = folder.with_suffix(".token")
        file.write_text(token)
        words = ("cert", "issue", "--out", folder, "--server", self.tls, "--root", self.root)
        return await self.daemon.xdsctl(*words, "--join-token-file", file)


@asynccontextmanager
async def mesh(folder: Path, **settings: str) -> AsyncIterator[Mesh]:
    """While it lasts."""
    tls, mtls = (f"127.0.0.1:{port}" for port in free_ports(2))
    async with Daemon(folder, {"xds-tls-address": tls, "xds-mtls-address": mtls, **settings}) as daemon:
        root = folder / "root.pem"
        await daemon.xdsctl("ca", "bundle", "--out", root)
        yield Mesh(daemon, tls, mtls, root)


async def certificate(envoy: Envoy) -> Mapping[str, Any]:
    """The certificate that Envoy shows to the daemon."""
    found = json.loads(await envoy.get("/certs"))
    (own,) = [chain for each in found["certificates"] for chain in each["cert_chain"]]
    held: Mapping[str, Any] = own
    return held


async def test_a_token_lets_a_proxy_in_as_whom_it_is_for_and_nobody_else(tmp_path: Path) -> None:
    """An Envoy with a join token is served over TLS under the token's identity; one that claims another namespace, or has
    no token, gets nothing and is told why.
    """
    async with mesh(tmp_path) as made:
        file = tmp_path / "token"
        words = ("-n", "shop", "--service-account", "reviews", "--network", "127.0.0.0/8", "--out", file)
        await made.daemon.xdsctl("token", "create", *words)
        token = file.read_text()
        tls = ("--root", made.root, "--join-token-file", file, "--xds-address", made.tls)
        boot = await made.bootstrap("reviews-v1", *tls)
        assert token not in json.dumps(boot)
        async with Envoy(boot, tmp_path):
            assert (await made.connected("reviews-v1")).identity == REVIEWS
        other = await made.bootstrap("thief", *tls, namespace="bank")
        async with Envoy(other, tmp_path, name="thief", ready=False) as thief:
            await eventually(lambda: "proved to be" in thief.program.tail(), "told why")
        file.write_text("nothing")
        async with Envoy(boot, tmp_path, name="bare", ready=False) as bare:
            await eventually(lambda: "is not Bearer and a join token" in bare.program.tail(), "told why")
        assert await made.proxies() == []
        assert token not in made.daemon.program.log.read_text()
        assert "PRIVATE KEY" not in made.daemon.program.log.read_text()


async def test_a_certificate_is_renewed_without_an_end_to_the_stream(tmp_path: Path) -> None:
    """A token for a single use becomes one certificate; Envoy connects by it, takes a renewed one up while its stream goes
    on, and is out at once when its identity is revoked, with its config left as it is.
    """
    async with mesh(tmp_path) as made:
        token, folder = await made.token(single_use=True), tmp_path / "reviews"
        assert (await made.issued(folder, token)).startswith(f"{REVIEWS} until ")
        assert stat.S_IMODE((folder / "key.pem").stat().st_mode) == 0o600
        with pytest.raises(AssertionError, match="is for a single use, and was used"):
            await made.issued(tmp_path / "again", token)
        boot = await made.bootstrap("reviews-v1", "--certificates", folder, "--xds-address", made.mtls)
        async with Envoy(boot, tmp_path) as envoy:
            before, first = await made.connected("reviews-v1"), await certificate(envoy)
            assert before.identity == REVIEWS
            renew = ("cert", "renew", "--out", folder, "--server", made.mtls)
            assert "not due before" in await made.daemon.xdsctl(*renew, "--if-due")
            assert (await made.daemon.xdsctl(*renew)).startswith(REVIEWS)

            async def taken_up() -> bool:
                return bool((await certificate(envoy))["serial_number"] != first["serial_number"])

            await eventually(taken_up, "the renewed certificate")
            assert (await made.connected("reviews-v1")).connected == before.connected
            await made.daemon.xdsctl("cert", "revoke", REVIEWS, "--reason", "stolen")
            await eventually(lambda: "is revoked until" in envoy.program.tail(), "told why")
            assert await made.proxies() == []
            assert await envoy.get("/ready") == "LIVE\n"
            with pytest.raises(AssertionError, match="is revoked until"):
                await made.daemon.xdsctl(*renew)
            await made.daemon.xdsctl("cert", "restore", REVIEWS)
            await made.connected("reviews-v1")


async def test_daemons_on_one_store_issue_from_one_root(tmp_path: Path) -> None:
    """Two daemons on an etcd have one CA: a token of the first joins at the second, and its certificate counts at both."""
    key = tmp_path / "sealing.key"
    key.write_text("ab" * 32)
    key.chmod(0o600)
    async with EtcdServer(tmp_path) as server:
        settings = {"store": f"etcd://{server.host}:{server.port}", "ca-sealing-key-file": str(key)}
        one, other = tmp_path / "one", tmp_path / "other"
        one.mkdir()
        other.mkdir()
        async with mesh(one, **settings) as first, mesh(other, **settings) as second:
            assert first.root.read_bytes() == second.root.read_bytes()
            folder = tmp_path / "cert"
            await second.issued(folder, await first.token())
            for each in (first, second):
                await each.daemon.xdsctl("cert", "renew", "--out", folder, "--server", each.mtls)
        assert "PRIVATE" not in await server.etcdctl("get", "--prefix", "/xdsd/ca/")


async def test_a_daemon_without_its_sealing_key_does_not_start(tmp_path: Path) -> None:
    """A daemon whose sealing key is not its store's ends with a sentence, and makes no CA beside the one that is there."""
    async with mesh(tmp_path) as made:
        pass
    key = made.daemon.state_dir / "ca-sealing.key"
    kept = key.read_text()
    key.write_text("ab" * 32)
    await made.daemon.program.start()
    assert await made.daemon.program.wait(120) == 1
    said = made.daemon.program.tail()
    assert "needs the sealing key" in said
    assert "Traceback" not in said
    assert "ab" * 32 not in said
    key.write_text(kept)
    await made.daemon.start()
    trust = await ask(made.daemon, lambda client: JoiningClient(client).trust())
    assert trust.bundle == made.root.read_bytes()
    await made.daemon.stop()
