"""Who may administer a daemon over the network, with real programs on both sides."""

import asyncio
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from api.client import ApiError, Client
from api.credentials import Credentials, load_tls
from tests.e2e.asking import encoded, service
from tests.lab.certificates import Authority, Pair
from tests.lab.daemon import Daemon, xdsctl
from tests.lab.etcd import EtcdServer, release, run
from tests.lab.eventually import eventually
from tests.lab.ports import free_port, free_ports
from xdsd.settings import parse_address

pytestmark = pytest.mark.e2e

PASSWORD = "correct horse battery"


def remote(folder: Path, pair: Pair, port: int, **more: str) -> Daemon:
    """A daemon whose admin port other machines reach."""
    tls = {"admin-tls-cert": str(pair.cert), "admin-tls-key": str(pair.key)}
    return Daemon(folder, {"admin-address": f"0.0.0.0:{port}", **tls, **more})


async def test_a_socket_and_tls_are_served_side_by_side(tmp_path: Path) -> None:
    """Who made a user on the machine sees the other come in from elsewhere, and go when it is removed."""
    authority, port = Authority(tmp_path / "pki"), free_port()
    pair = authority.issue("server", "IP:127.0.0.1")
    tls = {
        "admin-tls-address": f"127.0.0.1:{port}",
        "admin-tls-cert": str(pair.cert),
        "admin-tls-key": str(pair.key),
    }
    async with Daemon(tmp_path, tls) as daemon:
        file = kept(tmp_path, "ada", await token(daemon, "ada", "--role", "viewer"))
        far = (f"127.0.0.1:{port}", "--ca", authority.cert)
        code, said = await xdsctl(*far, "--token-file", file, "whoami")
        assert (code, said.splitlines()[0]) == (0, "ada, known by token, at 127.0.0.1:" + str(port))
        code, said = await xdsctl(*far, "whoami")
        assert (code, "who calls is not known" in said) == (1, True)
        await daemon.xdsctl("user", "delete", "ada")
        assert (await xdsctl(*far, "--token-file", file, "whoami"))[0] == 1


async def test_handshakes_that_fail_leave_the_log_whole(tmp_path: Path) -> None:
    """What gRPC's own code says of them does not stand between the lines of JSON."""
    authority, port = Authority(tmp_path / "pki"), free_port()
    pair = authority.issue("server", "IP:127.0.0.1")
    async with remote(tmp_path, pair, port, **{"admin-client-ca": str(authority.cert)}) as daemon:
        for greeting in (b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", bytes(200)):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(greeting)
            with suppress(ConnectionError):  # it hangs up, and may not have read all by then
                async with asyncio.timeout(60):
                    await reader.read()
            writer.close()
        code, _ = await xdsctl(f"127.0.0.1:{port}", "--ca", authority.cert, "version")
        assert code == 1
        assert await daemon.stop() == 0
        for line in daemon.program.log.read_text().splitlines():
            json.loads(line)


async def token(daemon: Daemon, name: str, *words: str) -> str:
    """Adds a user through the daemon's Unix socket; its token."""
    await daemon.xdsctl("user", "add", name, *words)
    issued: str = json.loads(await daemon.xdsctl("user", "token", name, "-o", "json"))["token"]
    return issued


def kept(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.token"
    path.touch(0o600)
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("address", ["0.0.0.0", "[::]", "192.0.2.1"])
async def test_off_loopback_a_daemon_without_tls_does_not_start(tmp_path: Path, address: str) -> None:
    """It says what to set, and touches nothing."""
    daemon = Daemon(tmp_path, {"admin-address": f"{address}:{free_port()}"})
    await daemon.program.start()
    assert await daemon.program.wait(60) == 2
    said = daemon.program.log.read_text()
    assert "can be reached from other machines, so it needs TLS: set admin-tls-cert and admin-tls-key" in said
    assert said.count("\n") == 1
    assert not daemon.state_dir.exists()


async def test_a_daemon_is_administered_over_the_network(tmp_path: Path) -> None:
    """Users are made on the machine; from elsewhere roles hold, refusals are counted, and no secret is left anywhere."""
    authority, port = Authority(tmp_path / "pki"), free_port()
    pair = authority.issue("server", "DNS:localhost", "IP:127.0.0.1")
    async with Daemon(tmp_path) as local:
        alice = await token(local, "alice", "--role", "editor", "-n", "default", "--role", "viewer")
        bob = await token(local, "bob", "--role", "viewer")
    secrets = [alice, bob, "wrong-" + alice, "xdsd_12345678_" + "a" * 43]
    files = {name: kept(tmp_path, name, text) for name, text in (("alice", alice), ("bob", bob))}
    manifest = tmp_path / "shop.json"
    manifest.write_bytes(encoded([service("shop")])[0])

    async def ask(name: str, *words: str | Path) -> tuple[int, str]:
        file = files.get(name, tmp_path / f"{name}.token")
        return await xdsctl(f"127.0.0.1:{port}", "--ca", authority.cert, "--token-file", file, *words)

    async with remote(tmp_path, pair, port) as daemon:
        assert await ask("alice", "apply", "-f", manifest) == (
            0,
            "serviceentry.networking.istio.io/shop created\n",
        )
        code, said = await ask("bob", "apply", "-f", manifest)
        allowed = "an admin can allow it: xdsctl role grant bob editor --namespace default"
        assert (code, said) == (1, f"Error: bob may not write objects in namespace default; {allowed}\n")
        code, said = await ask("alice", "apply", "-n", "other", "-f", manifest)
        assert (code, "alice may not write objects in namespace other" in said) == (1, True)
        code, said = await ask("alice", "user", "list")
        assert (code, "alice may not say who may do what" in said) == (1, True)
        for number, wrong in enumerate(secrets[2:]):
            kept(tmp_path, f"wrong{number}", wrong)
            code, said = await ask(f"wrong{number}", "get", "se")
            assert (code, said) == (
                1,
                "Error: the token is not known, or was revoked; make another with xdsctl user token NAME\n",
            )
        code, said = await xdsctl(f"127.0.0.1:{port}", "get", "se")
        assert (code, "hung up: it may speak TLS; give the file of the CA" in said) == (1, True)
        history = json.loads((await ask("bob", "history", "-o", "json"))[1])
        assert history["records"][0]["who"] == "alice"
        metrics = await daemon.metrics()
        counts = dict(re.findall(r'xdsd_refused_calls_total\{reason="([^"]+)"\} (\S+)', metrics))
        assert counts == {"rights": "3.0", "unknown token": "2.0"}
        assert [line["who"] for line in daemon.events("a call is refused")] == ["bob", "alice", "alice"]
    log = daemon.program.log.read_text()
    for secret in secrets:
        for part in (secret, secret[14:]):
            assert part not in log
            assert part not in metrics


async def test_certificates_are_renewed_without_a_restart(tmp_path: Path) -> None:
    """Callers that are connected stay so; whoever comes next is shown the new certificate."""
    old, new, port = Authority(tmp_path / "old"), Authority(tmp_path / "new"), free_port()
    pair, names = old.issue("server", "IP:127.0.0.1"), ("IP:127.0.0.1",)
    async with Daemon(tmp_path) as local:
        file = kept(tmp_path, "alice", await token(local, "alice", "--role", "viewer"))

    async def whoami(ca: Path) -> str:
        return (await xdsctl(f"127.0.0.1:{port}", "--ca", ca, "--token-file", file, "whoami"))[1]

    async with remote(tmp_path, pair, port) as daemon:
        assert (await whoami(old.cert)).startswith("alice, known by token")
        fresh = new.issue("fresh", *names)
        fresh.cert.replace(pair.cert)
        fresh.key.replace(pair.key)
        assert (await whoami(new.cert)).startswith("alice, known by token")
        assert "was not made by the CA of --ca" in await whoami(old.cert)
        assert daemon.events("certificates of the admin port are new")


async def test_etcds_own_client_is_let_in_by_password_and_by_certificate(tmp_path: Path) -> None:
    """etcdctl over TLS: with its name and password, and with a certificate; not without, and not with a wrong one."""
    etcdctl = release().program("etcdctl")
    authority, port = Authority(tmp_path / "pki"), free_port()
    pair, client = authority.issue("server", "IP:127.0.0.1"), authority.issue("robot")
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    async with Daemon(tmp_path) as local:
        await local.xdsctl("user", "add", "carol", "--role", "admin", "--password-file", password)
        await local.xdsctl("user", "add", "robot", "--role", "viewer", "--certificate", "robot")
    key = "/xdsd/objects/serviceentries.networking.istio.io/default/shop"
    value = encoded([service("shop")])[0].decode()

    async def ask(*words: str, check: bool = True) -> str:
        ca = ("--cacert", str(authority.cert), "--command-timeout=60s", "--dial-timeout=60s")
        return await run(etcdctl, "--endpoints", f"127.0.0.1:{port}", *ca, *words, check=check)

    async with remote(tmp_path, pair, port) as daemon:
        assert await ask("--user", f"carol:{PASSWORD}", "put", key, value) == "OK\n"
        assert key in await ask("--user", f"carol:{PASSWORD}", "get", "--prefix", "/xdsd/", "--keys-only")
        assert "invalid user ID or password" in await ask("--user", "carol:wrong", "get", key, check=False)
        assert "who calls is not known" in await ask("get", key, check=False)
        assert PASSWORD not in daemon.program.log.read_text()
    async with remote(tmp_path, pair, port, **{"admin-client-ca": str(authority.cert)}):
        certificate = ("--cert", str(client.cert), "--key", str(client.key))
        assert key in await ask(*certificate, "get", key, "--keys-only")
        assert "robot may not write objects" in await ask(*certificate, "del", key, check=False)
        hasty = ("--dial-timeout=2s", "--command-timeout=2s")
        assert key not in await ask(*hasty, "get", "--prefix", "/xdsd/", "--keys-only", check=False)


async def test_what_is_said_of_a_user_holds_on_every_daemon_of_the_store(tmp_path: Path) -> None:
    """Disabled on one, a user is refused by the other, and what it watches there ends."""
    authority, ports = Authority(tmp_path / "pki"), free_ports(2)
    pair = authority.issue("server", "IP:127.0.0.1")
    async with EtcdServer(tmp_path) as etcd:
        store = f"etcd://127.0.0.1:{etcd.port}"
        async with (
            Daemon(tmp_path / "one", {"store": store, "name": "one"}) as one,
            remote(tmp_path / "two", pair, ports[0], store=store, name="two") as two,
        ):
            text = await token(one, "alice", "--role", "viewer")
            proof = Credentials(load_tls(authority.cert, None, None), text)
            address = parse_address(f"127.0.0.1:{ports[0]}")

            def known() -> bool:
                with Client(address, proof) as client:
                    try:
                        return bool(client.list().revision)
                    except ApiError:
                        return False

            async def watched() -> Sequence[str]:
                """What ends the watch."""
                return await asyncio.to_thread(watch)

            started = asyncio.Event()
            loop = asyncio.get_running_loop()

            def watch() -> Sequence[str]:
                with Client(address, proof) as client:
                    try:
                        for _ in client.watch():
                            loop.call_soon_threadsafe(started.set)
                    except ApiError as error:
                        return [error.code.name, str(error)]
                return []

            await eventually(lambda: asyncio.to_thread(known))
            async with asyncio.timeout(120):
                ending = asyncio.create_task(watched())
                await started.wait()
                await one.xdsctl("user", "disable", "alice")
                code, why = await ending
            assert code == "UNAUTHENTICATED"
            assert "the user alice is disabled" in why
            assert not known()
            await one.xdsctl("user", "enable", "alice")
            await eventually(lambda: asyncio.to_thread(known))
            assert two.events("a caller is refused")
