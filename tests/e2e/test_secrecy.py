"""A daemon is led through all that it does with secrets, and then nothing that it wrote or said has one."""

import asyncio
import base64
import re
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret

from tests.lab.certificates import Authority
from tests.lab.daemon import Daemon
from tests.lab.eventually import eventually
from tests.lab.ports import free_ports
from tests.server.client import DELTA, Call
from tests.server.secure import connected
from xdsd.snapshot import SECRET

pytestmark = pytest.mark.e2e

RANDOM = 43
"""Characters of a token that are secret: the last ones, any of which may be an underscore."""
TOKEN = re.compile(rf"xdsd[a-z]*_[0-9a-f]+_[-_A-Za-z0-9]{{{RANDOM}}}")
NODE = "router~127.0.0.1~edge.edge~edge.svc.cluster.local"
SAID = (
    *(("proxies", "-o", "json"), ("status", "-o", "json"), ("problems",), ("history", "-o", "json")),
    *(("config", "secret", "edge.edge", "-o", "json"), ("secret", "describe", "shop", "-n", "edge")),
    *(
        ("token", "list", "-o", "json"),
        ("user", "show", "alice", "-o", "json"),
        ("kv", "get", "--prefix", "/"),
    ),
)
"""What operators ask."""


def forms(pem: bytes) -> set[str]:
    """A private key in all the forms in which it could stand somewhere: lines of PEM, DER and its number, as text."""
    key: Any = load_pem_private_key(pem, None)
    found = {line.decode() for line in pem.splitlines() if not line.startswith(b"-") and len(line) > 24}
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        der = key.private_bytes(Encoding.DER, form, NoEncryption())
        found |= {der.hex(), base64.b64encode(der).decode()[:60]}
    number = key.private_numbers().private_value
    return found | {str(number), f"{number:x}", base64.b64encode(pem).decode()[40:100]}


async def given(channel: grpc.aio.Channel, token: str, *, refuses: bool) -> set[str]:
    """What is secret of what a gateway's stream is given, once it has answered."""
    keys: list[bytes] = []
    call = Call(channel, DELTA, NODE, metadata=(("authorization", f"Bearer {token}"),))
    await call.asks(SECRET, "default", "ROOTCA", "kubernetes://shop", "kubernetes://others")
    async with asyncio.timeout(60):
        while len(keys) < 2:
            heard = await call.hears()
            for each in heard.resources:
                secret = Secret.FromString(each.resource.value)
                if secret.HasField("tls_certificate"):
                    keys.append(bytes(secret.tls_certificate.private_key.inline_bytes))
            await call.asks(SECRET, nonce=heard.nonce, error="this is refused" if refuses else None)
    return {form for key in keys for form in forms(key)}


def read_all(folder: Path, but: set[Path]) -> dict[str, bytes]:
    """All files below a folder, without these and what is below these."""
    return {
        str(path): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and but.isdisjoint((path, *path.parents))
    }


async def test_no_secret_is_in_anything_that_the_daemon_writes_or_says(tmp_path: Path) -> None:
    """With all that it can log: credentials are kept, tokens made, wrong and right ones shown, certificates issued, given,
    refused and revoked, the root is rotated, and the daemon is killed by a signal that has it write where it stood. No key,
    token or password is in its log, its store, its folders, its metrics, or what it answers to operators; there is no core.
    """
    tls, mtls = free_ports(2)
    settings = {
        "xds-tls-address": f"127.0.0.1:{tls}",
        "xds-mtls-address": f"127.0.0.1:{mtls}",
        "log-level": "debug",
        "settle-quiet": "5ms",
    }
    pair = Authority(tmp_path / "pki").issue("shop", "DNS:shop.example.com")
    secrets: set[str] = forms(pair.key.read_bytes())
    said: list[str] = []
    async with Daemon(tmp_path, settings) as daemon, AsyncExitStack() as stack:

        async def run(*words: str | Path, text: str = "", check: bool = True) -> str:
            said.append(await daemon.xdsctl(*words, text=text, check=check))
            return said[-1]

        await run("ca", "bundle", "--out", tmp_path / "root.pem")
        await run("secret", "create", "tls", "shop", "-n", "edge", "--cert", pair.cert, "--key", pair.key)
        join, admin = tmp_path / "join.token", tmp_path / "admin.token"
        await run("token", "create", "-n", "edge", "--service-account", "gateway", "--out", join)
        await run(
            "user", "add", "alice", "--role", "viewer", "--password-file", "-", text="correct-horse-battery\n"
        )
        admin.write_text(await daemon.xdsctl("user", "token", "alice"))
        words = [join.read_text().strip(), *TOKEN.findall(admin.read_text()), "correct-horse-battery"]
        assert len(words) == 3
        secrets |= {word[-RANDOM:] for word in words}
        secrets.add((daemon.state_dir / "ca-sealing.key").read_text().strip())
        root = (tmp_path / "root.pem").read_bytes()
        wrong = f"{words[0][:-6]}AAAAAA"
        secrets.add(wrong[-RANDOM:])
        channel = await stack.enter_async_context(connected(tls, grpc.ssl_channel_credentials(root)))
        for refuses in (False, True):
            secrets |= await given(channel, words[0], refuses=refuses)
        folder = tmp_path / "certificates"
        issue = (
            "cert",
            "issue",
            "--out",
            folder,
            "--server",
            f"127.0.0.1:{tls}",
            "--root",
            tmp_path / "root.pem",
        )
        await run(*issue, "--join-token-file", join)
        secrets |= forms((folder / "key.pem").read_bytes())
        (tmp_path / "wrong.token").write_text(wrong)
        await run(*issue, "--join-token-file", tmp_path / "wrong.token", check=False)
        await run("cert", "renew", "--out", folder, "--server", f"127.0.0.1:{mtls}")
        secrets |= forms((folder / "key.pem").read_bytes())
        await run("ca", "rotate", "--apply", check=False)
        await run("cert", "revoke", "spiffe://cluster.local/ns/edge/sa/gateway", "--reason", "stolen")
        await asyncio.gather(*(run(*command, check=False) for command in SAID))
        said.append(await daemon.metrics())
        await run("snapshot", "save", tmp_path / "snapshot", check=False)
        daemon.program.signal(signal.SIGABRT)
        await eventually(lambda: not daemon.program.running, "the daemon is gone")
    log = daemon.program.log.read_text()
    assert "Fatal Python error: Aborted" in log
    assert '"a certificate is issued"' in log
    assert any("edge" in each for each in said)
    mine = {
        join,
        admin,
        tmp_path / "wrong.token",
        daemon.state_dir / "ca-sealing.key",
        pair.cert.parent,
        folder,
    }
    texts = {**read_all(tmp_path, mine), "what it said": "\n".join(said).encode()}
    assert {str(daemon.program.log), str(daemon.state_dir / "xdsd.db")} <= texts.keys()
    assert [each for each in texts if re.search(r"/core[^/]*$", each)] == []
    for place, text in texts.items():
        assert b"PRIVATE KEY" not in text, place
        for secret in secrets:
            assert secret.encode() not in text, f"{place} has a secret of {len(secret)} characters"
    assert len(secrets) > 30
