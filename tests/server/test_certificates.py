"""Certificates on request, over the TLS ports, as the published API has them."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import grpc
import pytest
import structlog
from cryptography import x509

from api.proto.istio.v1.auth import ca_pb2 as pb
from api.services.certificates import SERVICE, CertificatesService
from tests.server.hand import HandMesh
from tests.server.secure import A, B, Secure, secured
from tests.server.test_tls import bearer
from xdsd.ca.authority import Credential, signing_request
from xdsd.ca.checking import prove
from xdsd.ca.issuer import CannotIssue, Svid, bundle
from xdsd.ca.keys import new_key, private_pem
from xdsd.ca.reading import read_certificates
from xdsd.server.quotas import Limit, Rates
from xdsd.server.turns import Turns


def offer(made: Secure) -> None:
    """Lets the server issue certificates."""
    offered(made, 1000.0, [])


def offered(
    made: Secure, rate: float, exceeded: list[str], clock: Callable[[], float] = time.monotonic
) -> None:
    """Lets the server issue certificates, so many a second to one identity."""
    logger = structlog.get_logger()
    turns = Turns(Limit.CERTIFICATES, "certificates", Rates(rate, clock), logger, exceeded.append)
    service = CertificatesService(made.gate, made.authority, made.tokens, logger, turns)
    made.server.also_serve_tls(SERVICE, service.handler())


async def ask(
    channel: grpc.aio.Channel, csr: bytes | str, token: str = "", seconds: int = 0
) -> tuple[x509.Certificate, ...]:
    """The chain that is given, without the roots."""
    call = channel.unary_unary(
        f"/{SERVICE}/CreateCertificate",
        pb.IstioCertificateRequest.SerializeToString,
        pb.IstioCertificateResponse.FromString,
    )
    text = csr if isinstance(csr, str) else csr.decode()
    request = pb.IstioCertificateRequest(csr=text, validity_duration=seconds)
    response = await call(request, metadata=bearer(token) if token else None, timeout=60)
    assert len(response.cert_chain) >= 2
    return read_certificates("".join(response.cert_chain[:-1]).encode(), "the chain")


async def test_a_token_becomes_a_certificate_of_its_identity() -> None:
    """Whatever name stands in the request, the certificate is of the token's identity and the request's key."""
    async with secured(HandMesh(), prepare=offer) as made, made.by_token() as channel:
        key = new_key()
        (leaf,) = await ask(channel, signing_request(key, B), await made.token(A), seconds=600)
        assert leaf.public_key() == key.public_key()
        proof = prove(leaf, A.trust_domain, datetime.now(UTC))
        assert proof.identity == A
        assert proof.expires <= datetime.now(UTC) + timedelta(seconds=600)


async def test_a_certificate_renews_itself() -> None:
    """Who shows a certificate on the other port gets one of the same identity, by which it connects again."""
    async with secured(HandMesh(), prepare=offer) as made:
        held = await made.authority.credential(A)
        key = new_key()
        async with made.by_certificate(held) as channel:
            (leaf,) = await ask(channel, signing_request(key))
        assert prove(leaf, A.trust_domain, datetime.now(UTC)).identity == A
        renewed = Credential(Svid(A, leaf, bundle([leaf])), private_pem(key))
        async with made.by_certificate(renewed) as channel:
            await ask(channel, signing_request(new_key()))


async def test_a_token_for_a_single_use_is_used_once() -> None:
    """The first key gets its certificate, and gets it again if the answer was lost; another key gets nothing."""
    async with secured(HandMesh(), prepare=offer) as made, made.by_token() as channel:
        token, first = await made.token(A, single_use=True), signing_request(new_key())
        await ask(channel, first, token)
        await ask(channel, first, token)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(channel, signing_request(new_key()), token)
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert "was used" in str(refused.value.details())


async def test_at_once_one_of_many_gets_the_single_use() -> None:
    """Of several keys that ask at the same time exactly one gets a certificate."""
    async with secured(HandMesh(), prepare=offer) as made, made.by_token() as channel:
        token = await made.token(A, single_use=True)
        asked = [ask(channel, signing_request(new_key()), token) for _ in range(6)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(not isinstance(each, BaseException) for each in answers) == 1


async def test_a_certificate_that_could_not_be_made_uses_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes again with another key, as xdsctl does, is given one when that is possible again."""
    async with secured(HandMesh(), prepare=offer) as made, made.by_token() as channel:
        token = await made.token(A, single_use=True)

        async def fails(*_: object) -> Svid:
            raise CannotIssue("the signer is away")

        with monkeypatch.context() as patched:
            patched.setattr(made.authority, "issue", fails)
            with pytest.raises(grpc.aio.AioRpcError, match="the signer is away"):
                await ask(channel, signing_request(new_key()), token)
        await ask(channel, signing_request(new_key()), token)


async def test_nobody_else_gets_anything() -> None:
    """Without a proof there is no certificate."""
    async with secured(HandMesh(), prepare=offer) as made, made.by_token() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(channel, signing_request(new_key()))
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_one_identity_asks_for_so_many_certificates_a_second() -> None:
    """Beyond ten seconds' worth an identity is refused, whatever it sends, and told by which setting; others are not, and
    a second later it gets one more.
    """
    now, exceeded = [100.0], list[str]()

    def prepare(made: Secure) -> None:
        offered(made, 1.0, exceeded, lambda: now[0])

    async with secured(HandMesh(), prepare=prepare) as made, made.by_token() as channel:
        token, other, good = await made.token(A), await made.token(B), signing_request(new_key())
        for number in range(10):
            if number % 2:
                await ask(channel, good, token)
            else:
                with pytest.raises(grpc.aio.AioRpcError, match=r"PKCS #10"):
                    await ask(channel, "nonsense", token)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(channel, good, token)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert f"{A} asks for more than 1 certificates a second" in str(refused.value.details())
        assert str(refused.value.details()).endswith("see the daemon's setting max-certificate-rate")
        assert exceeded == ["max-certificate-rate"]
        await ask(channel, good, other)
        now[0] += 1
        await ask(channel, good, token)


@pytest.mark.parametrize(
    ("csr", "seconds", "why"),
    [
        ("", 0, "PKCS #10"),
        ("-----BEGIN CERTIFICATE REQUEST-----", 0, "PKCS #10"),
        ("x" * 20_000, 0, "at most"),
        (None, -1, "a minute at least"),
        (None, 59, "a minute at least"),
    ],
)
async def test_bad_requests_are_refused_and_use_nothing_up(csr: str | None, seconds: int, why: str) -> None:
    """A request that cannot be read is refused with what would be right; a single use is left for a better one."""
    async with secured(HandMesh(), prepare=offer) as made, made.by_token() as channel:
        token = await made.token(A, single_use=True)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(channel, signing_request(new_key()) if csr is None else csr, token, seconds)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert why in str(refused.value.details())
        await ask(channel, signing_request(new_key()), token)
