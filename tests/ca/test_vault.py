"""A signer elsewhere, against a small server that speaks its HTTP API."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web
from cryptography import x509
from structlog.testing import capture_logs

from tests.ca.making import DAY, NOW, REVIEWS, intermediate, issued, organisation
from tests.ca.test_authority import running
from tests.lab.echo import ended
from tests.lab.eventually import eventually
from xdsd.ca.authority import Authority
from xdsd.ca.crl import Revoked, make_crl
from xdsd.ca.issuer import Ca, CannotIssue, Request, bundle, issue, pem
from xdsd.ca.lists import given_lists, serials_of
from xdsd.ca.reading import read_request
from xdsd.ca.vault import VaultCa, VaultSettings
from xdsd.model.identity import parse_identity

TOKEN = "s.the-token-of-the-test"


@dataclass
class Vault:
    """Vault's PKI API on loopback; ``sign`` makes what it answers of what was asked."""

    ca: Ca
    sign: Callable[["Vault", dict[str, Any]], tuple[int, Any]] = lambda vault, asked: vault.signed(asked)
    asked: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    chain: bytes | None = None
    list: bytes | None = None
    url: str = ""

    def signed(self, asked: dict[str, Any]) -> tuple[int, Any]:
        """As a role that is made as it should be signs."""
        key = read_request(asked["csr"].encode())
        life = timedelta(seconds=int(asked["ttl"].removesuffix("s")))
        names = tuple(name for name in asked["alt_names"].split(",") if name)
        made = issue(self.ca, Request(key, parse_identity(asked["uri_sans"]), life, NOW, 99, names))
        return 200, answer(self.ca, made.certificate)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.path)
        if request.path == "/v1/mesh/pki/ca_chain":
            return web.Response(body=bundle(self.ca.chain) if self.chain is None else self.chain)
        if request.path == "/v1/mesh/pki/ca/pem":
            return web.Response(body=pem(self.ca.certificate))
        if request.path == "/v1/mesh/pki/crl/pem":
            return web.Response(body=self.list, status=200 if self.list is not None else 404)
        if request.headers.get("X-Vault-Token") != TOKEN:
            return web.json_response({"errors": ["permission denied"]}, status=403)
        asked = await request.json()
        self.asked.append(asked)
        if request.path == "/v1/mesh/pki/revoke":
            serial = int(asked["serial_number"].replace(":", ""), 16)
            self.list = make_crl(self.ca, [Revoked(serial, NOW)], 2, NOW, 3 * DAY)
            return web.json_response({"data": {"revocation_time": 1}})
        status, said = self.sign(self, asked)
        return (
            web.json_response(said, status=status) if not isinstance(said, str) else web.Response(text=said)
        )


def answer(ca: Ca, certificate: x509.Certificate) -> dict[str, Any]:
    """An answer of ``sign``."""
    return {
        "data": {
            "certificate": pem(certificate).decode(),
            "issuing_ca": pem(ca.certificate).decode(),
            "ca_chain": [pem(each).decode() for each in ca.chain],
        }
    }


@asynccontextmanager
async def served(vault: Vault) -> AsyncIterator[Vault]:
    """While it answers."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", vault.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        vault.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield vault
    finally:
        await ended(runner)


@asynccontextmanager
async def asking(vault: Vault, folder: Path, roots: Path | None = None) -> AsyncIterator[Authority]:
    """An authority that lets this Vault sign."""
    token = folder / "token"
    token.write_text(f"{TOKEN}\n")
    settings = VaultSettings(vault.url, "mesh/pki", "xdsd", token, roots=roots)
    source = VaultCa(settings, structlog.get_logger(), lambda: NOW, every=0.02)
    async with running(source, now=lambda: NOW) as authority:
        yield authority


async def test_vault_signs_what_was_asked(tmp_path: Path) -> None:
    """The role is asked for the identity and the lifetime with a request of the key; its root is what is trusted."""
    top = organisation()
    async with served(Vault(intermediate(top))) as vault, asking(vault, tmp_path) as authority:
        made = await authority.credential(REVIEWS, timedelta(minutes=5), names=("xdsd",))
        assert authority.roots == top.chain
        assert x509.load_pem_x509_certificates(made.svid.chain) == [
            made.svid.certificate,
            vault.ca.certificate,
        ]
        assert made.svid.expires == NOW + timedelta(minutes=5)
        (asked,) = vault.asked
        assert (asked["uri_sans"], asked["ttl"], asked["alt_names"]) == (str(REVIEWS), "300s", "xdsd")
        assert vault.paths[-1] == "/v1/mesh/pki/sign/xdsd" or "/v1/mesh/pki/sign/xdsd" in vault.paths


async def test_a_root_signs_without_a_chain(tmp_path: Path) -> None:
    """A mount whose CA is a root tells no chain; its certificate is asked for then."""
    async with served(Vault(organisation(), chain=b"")) as vault, asking(vault, tmp_path) as authority:
        assert authority.roots == vault.ca.chain
        await authority.credential(REVIEWS)


async def test_a_root_may_be_given(tmp_path: Path) -> None:
    """Where Vault does not know the root above its intermediate, a file does."""
    top = organisation()
    ca = intermediate(top)
    (tmp_path / "root.pem").write_bytes(bundle(top.chain))
    async with (
        served(Vault(Ca(ca.chain[:1], ca.key), chain=pem(ca.certificate))) as vault,
        asking(vault, tmp_path, tmp_path / "root.pem") as authority,
    ):
        await authority.credential(REVIEWS)


@pytest.mark.parametrize(
    ("sign", "why"),
    [
        (
            lambda vault, asked: (400, {"errors": ["ttl too long", "x" * 999]}),
            "Vault answered 400 at .*ttl too long",
        ),
        (lambda vault, asked: (500, {"errors": None}), "no reason was given"),
        (lambda vault, asked: (307, {}), "307"),
        (lambda vault, asked: (200, {"data": {}}), "lacks data.certificate"),
        (lambda vault, asked: (200, [1]), "lacks data.certificate"),
        (lambda vault, asked: (200, "{{"), "lacks data.certificate"),
        (
            lambda vault, asked: (200, {"data": {"certificate": "x", "issuing_ca": "y"}}),
            "no certificates in PEM",
        ),
        (lambda vault, asked: (200, answer(vault.ca, issued(vault.ca).certificate)), "another key"),
        (
            lambda vault, asked: vault.signed({**asked, "uri_sans": "spiffe://cluster.local/ns/a/sa/b"}),
            "was asked for",
        ),
        (lambda vault, asked: vault.signed({**asked, "alt_names": "bank.example"}), "other names"),
        (lambda vault, asked: Vault(organisation()).signed(asked), "no root that is trusted"),
    ],
)
async def test_what_was_not_asked_for_is_refused(
    sign: Callable[[Vault, dict[str, Any]], tuple[int, Any]], why: str, tmp_path: Path
) -> None:
    """Whatever Vault answers but the certificate that was asked for is refused, with what to look at."""
    async with (
        served(Vault(intermediate(organisation()), sign)) as vault,
        asking(vault, tmp_path) as authority,
    ):
        with pytest.raises(CannotIssue, match=why) as refused:
            await authority.credential(REVIEWS)
        assert TOKEN not in str(refused.value)
        assert len(str(refused.value)) < 600


async def test_a_replaced_token_is_taken(tmp_path: Path) -> None:
    """The token is read anew each time, and a wrong one is told without showing it."""
    async with served(Vault(intermediate(organisation()))) as vault, asking(vault, tmp_path) as authority:
        (tmp_path / "token").write_text("s.expired")
        with pytest.raises(CannotIssue, match=r"403.*permission denied") as refused:
            await authority.credential(REVIEWS)
        assert "s.expired" not in str(refused.value)
        (tmp_path / "token").write_text("")
        with pytest.raises(CannotIssue, match="does not hold a token"):
            await authority.credential(REVIEWS)
        (tmp_path / "token").write_text(TOKEN)
        await authority.credential(REVIEWS)


async def test_vault_may_come_later_and_change(tmp_path: Path) -> None:
    """While its chain cannot be had it is asked again; a new root is known soon."""
    vault = Vault(intermediate(organisation()), chain=b"nothing")
    async with served(vault):
        (tmp_path / "token").write_text(TOKEN)
        source = VaultCa(
            VaultSettings(vault.url, "mesh/pki", "xdsd", tmp_path / "token"),
            structlog.get_logger(),
            lambda: NOW,
            every=0.02,
        )
        authority = Authority(source, REVIEWS.trust_domain, timedelta(hours=1), lambda: NOW)
        with capture_logs() as logs:
            task = asyncio.create_task(authority.run())
            await eventually(lambda: any("not known anew" in str(each["event"]) for each in logs))
            assert not authority.is_known
            vault.chain = None
            await eventually(lambda: authority.is_known)
            vault.ca = intermediate(organisation())
            await eventually(lambda: authority.roots == vault.ca.chain[-1:])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert TOKEN not in json.dumps(logs, default=str)


async def test_what_is_revoked_is_revoked_there_and_its_list_comes_here(tmp_path: Path) -> None:
    """Vault is told a serial in its own form, and the list that it signs then is what proxies are to be given."""
    async with served(Vault(intermediate(organisation()))) as vault, asking(vault, tmp_path) as authority:
        await authority.revoke([0xF3A, 0x1])
        assert {each["serial_number"] for each in vault.asked} == {"0f:3a", "01"}
        await eventually(lambda: authority.lists == (vault.list,), "the list has come")
        told = given_lists(authority.issuers, authority.lists, NOW)
        assert len(serials_of(told.pem)) == 1


@pytest.mark.parametrize("wrong", [b"", b"<html>", b"-----BEGIN X509 CRL-----\nAA"])
async def test_a_list_that_cannot_be_used_is_not_given(wrong: bytes, tmp_path: Path) -> None:
    """What Vault answers instead of a list keeps nobody from signing or being believed."""
    async with (
        served(Vault(intermediate(organisation()), list=wrong)) as vault,
        asking(vault, tmp_path) as authority,
    ):
        await authority.credential(REVIEWS)
        told = given_lists(authority.issuers, authority.lists, NOW)
        assert (told.pem, "is not known" in told.why) == (b"", True)


async def test_a_refusal_to_revoke_is_told(tmp_path: Path) -> None:
    """A token that may only sign is no error of ours: Vault's reason is passed on."""
    async with served(Vault(intermediate(organisation()))) as vault, asking(vault, tmp_path) as authority:
        (tmp_path / "token").write_text("s.another")
        with pytest.raises(CannotIssue, match="Vault answered 403 at revoke: permission denied"):
            await authority.revoke([5])
