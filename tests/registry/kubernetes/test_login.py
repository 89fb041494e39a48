"""Where a server is and who we are to it, from files."""

import asyncio
import base64
import os
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from tests.lab.certificates import Authority, Pair
from tests.lab.echo import ended
from tests.lab.ports import free_port
from xdsd.registry.kubernetes.api import Api, Unreachable
from xdsd.registry.kubernetes.login import CannotLogin, Login, from_kubeconfig, in_cluster

SERVER = "https://127.0.0.1:6443"


def kubeconfig(
    path: Path, user: Mapping[str, Any] | None = None, cluster: Mapping[str, Any] | None = None
) -> Path:
    """A file with one context, beside another that is not meant."""
    content = {
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": SERVER, **(cluster or {})}}],
        "users": [{"name": "u", "user": dict(user or {})}, {"name": "other", "user": {"token": "other"}}],
        "contexts": [
            {"name": "here", "context": {"cluster": "c", "user": "u"}},
            {"name": "there", "context": {"cluster": "c", "user": "other"}},
        ],
    }
    path.write_text(yaml.safe_dump(content))
    return path


async def refused(path: Path) -> str:
    with pytest.raises(CannotLogin) as error:
        (await from_kubeconfig(path)).tls()
    return str(error.value)


async def test_a_user_may_have_a_token(tmp_path: Path) -> None:
    """In the file, or in a file beside it; another context is another user."""
    path = kubeconfig(tmp_path / "config", {"token": "secret"})
    assert await from_kubeconfig(path) == Login(SERVER, "Bearer secret")
    assert (await from_kubeconfig(path, "there")).token == "Bearer other"
    (tmp_path / "token").write_text("renewed\n")
    path = kubeconfig(tmp_path / "config", {"tokenFile": "token"})
    assert (await from_kubeconfig(path)).token == "Bearer renewed"


def test_nobody_sees_a_token() -> None:
    """Whatever shows a login, in a log or a trace."""
    assert "secret" not in repr(Login(SERVER, "Bearer secret", key=b"secret"))


async def test_a_program_may_say_the_token(tmp_path: Path) -> None:
    """As clouds have it."""
    answer = (
        '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"made"}}'
    )
    program = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": ["-c", f"print('{answer}')"],
    }
    assert (await from_kubeconfig(kubeconfig(tmp_path / "config", {"exec": program}))).token == "Bearer made"
    failing = {**program, "args": ["-c", "import sys; sys.exit('no session')"]}
    assert "no session" in await refused(kubeconfig(tmp_path / "config", {"exec": failing}))


@asynccontextmanager
async def server_of(authority: Authority, pair: Pair) -> AsyncIterator[int]:
    """An API server that wants a certificate, and says whose it was given."""

    async def answer(request: web.Request) -> web.Response:
        transport = request.transport
        assert transport is not None
        subject = transport.get_extra_info("peercert")["subject"]
        return web.json_response({"who": subject[0][0][1]})

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.cert))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(pair.cert, pair.key)
    app, port = web.Application(), free_port()
    app.router.add_get("/version", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
    try:
        yield port
    finally:
        await ended(runner)


@pytest.mark.parametrize("inside", [True, False])
async def test_a_user_may_have_a_certificate(
    tmp_path: Path, inside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it stands in the kubeconfig or beside it; no key is written anywhere."""
    authority = Authority(tmp_path / "ca")
    own, server = authority.issue("xdsd"), authority.issue("server", "IP:127.0.0.1")

    def given(word: str, file: Path) -> dict[str, str]:
        if inside:
            return {f"{word}-data": base64.b64encode(file.read_bytes()).decode()}
        return {word: os.path.relpath(file, tmp_path)}

    async with server_of(authority, server) as port:
        path = kubeconfig(
            tmp_path / "config",
            {**given("client-certificate", own.cert), **given("client-key", own.key)},
            {"server": f"https://127.0.0.1:{port}", **given("certificate-authority", authority.cert)},
        )
        temporary = tmp_path / "temporary"
        temporary.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))
        api = Api(lambda: from_kubeconfig(path))
        try:
            assert await api.get("/version") == {"who": "xdsd"}
        finally:
            await api.close()
        assert list(temporary.iterdir()) == []
        stranger = kubeconfig(tmp_path / "config", {}, {"server": f"https://127.0.0.1:{port}"})
        api = Api(lambda: from_kubeconfig(stranger))
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            await api.get("/version")
        await api.close()


@pytest.mark.parametrize(
    ("cluster", "says"),
    [
        (
            {"insecure-skip-tls-verify": True},
            "would let anybody be the server; give its certificate-authority",
        ),
        ({"server": "http://10.0.0.1:8080"}, "would be spoken to in plaintext; write https://"),
        ({"certificate-authority-data": "!"}, "clusters[c].certificate-authority-data is not base64"),
        ({"certificate-authority-data": "YQ=="}, "its certificates or keys cannot be used"),
        ({"certificate-authority": "missing.crt"}, "missing.crt cannot be read: No such file"),
    ],
)
async def test_what_is_not_safe_or_not_there_is_refused(
    tmp_path: Path, cluster: dict[str, Any], says: str
) -> None:
    """With what would be right."""
    assert says in await refused(kubeconfig(tmp_path / "config", {"token": "t"}, cluster))


async def test_many_who_want_to_know_ask_once() -> None:
    """A program that makes tokens is not run for every collection."""
    asked = []

    async def login() -> Login:
        asked.append(1)
        await asyncio.sleep(0)
        return Login("http://127.0.0.1:1")

    api = Api(login)
    try:
        said = await asyncio.gather(*(api.get("/version") for _ in range(5)), return_exceptions=True)
    finally:
        await api.close()
    assert len(asked) == 1
    (reason,) = {str(each) for each in said}
    assert reason == "127.0.0.1:1: connection refused"


async def test_plaintext_is_for_this_machine_alone(tmp_path: Path) -> None:
    """Where a ``kubectl proxy`` may listen."""
    path = kubeconfig(tmp_path / "config", {}, {"server": "http://127.0.0.1:8001"})
    login = await from_kubeconfig(path)
    assert login == Login("http://127.0.0.1:8001")
    assert login.tls() is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "cannot be read: No such file"),
        ("[", "is not YAML"),
        ("7", "is no kubeconfig"),
        ("{}", "current-context"),
        ("{current-context: a, contexts: [], clusters: [], users: []}", "Expected object with name a"),
        ("{current-context: a, contexts: 7, clusters: 7, users: 7}", "do not fit together"),
    ],
)
async def test_a_file_that_is_no_kubeconfig_is_said(tmp_path: Path, text: str | None, says: str) -> None:
    """It is named, and nothing raises but that."""
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)
    said = await refused(path)
    assert str(path) in said
    assert says in said


async def test_a_pod_is_given_all_of_it(tmp_path: Path) -> None:
    """The token is read each time, since it is renewed in place."""
    (tmp_path / "token").write_text("one\n")
    (tmp_path / "ca.crt").write_bytes(b"pem")
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    assert await in_cluster(tmp_path, environment) == Login("https://[fd00::1]:443", "Bearer one", b"pem")
    (tmp_path / "token").write_text("two\n")
    assert (await in_cluster(tmp_path, environment)).token == "Bearer two"
    with pytest.raises(CannotLogin, match="runs in no pod: write kubernetes:KUBECONFIG"):
        await in_cluster(tmp_path, {})
