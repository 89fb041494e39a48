"""Certificates, tokens and clocks that are wrong: whoever shows them is told why, and everybody else is served."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.ca.test_checking import ENCIPHERS, SIGNS, SIGNS_OTHERS, named
from tests.lab.eventually import eventually
from tests.server.client import DELTA, NODE, Call
from tests.server.hand import HandMesh, cluster
from tests.server.secure import A, B, Secure, certified, connected, secured
from tests.server.test_tls import bearer, opened, refusal
from xdsd.ca.authority import Credential
from xdsd.ca.checking import prove
from xdsd.ca.issuer import Svid, digest, pem
from xdsd.ca.keys import new_key, private_pem
from xdsd.snapshot import CLUSTER

HOUR = timedelta(hours=1)
UNAUTHENTICATED, UNAVAILABLE = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAVAILABLE
OTHER = NODE.replace("~a.", "~b.")


def signed(
    made: Secure,
    *extensions: x509.ExtensionType,
    begins: timedelta = -HOUR,
    ends: timedelta = HOUR,
) -> Credential:
    """A certificate of the mesh's own CA with just these extensions, as only a CA gone wrong would sign."""
    assert made.authority._trust is not None
    ca, key, now = made.authority._trust.cas[0], new_key(), datetime.now(UTC)
    builder = x509.CertificateBuilder().issuer_name(ca.certificate.subject).subject_name(x509.Name([]))
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now + begins).not_valid_after(now + ends)
    for each in extensions:
        builder = builder.add_extension(each, critical=False)
    certificate = builder.sign(ca.key, digest(ca.key))
    return Credential(Svid(A, certificate, pem(certificate)), private_pem(key))


@asynccontextmanager
async def neighbour(made: Secure, mesh: HandMesh) -> AsyncIterator[None]:
    """One with a good token, which is served before, during and after whatever happens within."""
    async with made.by_token() as channel:
        call = await opened(channel, await made.token(B), OTHER)
        await call.acks(await call.hears())
        yield
        mesh.put(cluster("for-the-neighbour"))
        assert [each.name for each in (await call.hears()).resources] == ["for-the-neighbour"]


@pytest.mark.parametrize(
    ("extensions", "why"),
    [
        ((SIGNS,), "has 0 URI names"),
        ((SIGNS, named(str(A), str(B))), "has 2 URI names"),
        ((SIGNS, named("https://example.com")), "is no identity"),
        ((SIGNS, named(f"spiffe://{'a' * 5_000}/ns/b/sa/c")), "is no identity"),
        ((SIGNS, named("spiffe://elsewhere.example/ns/default/sa/a")), "trust domain elsewhere.example"),
        ((ENCIPHERS, named(str(A))), "UNAVAILABLE"),
        ((SIGNS_OTHERS, named(str(A))), "key usage"),
        ((SIGNS, named(str(A)), x509.BasicConstraints(True, None)), "is a CA's"),
        ((SIGNS, named(str(A)), x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])), "UNAVAILABLE"),
        ((named(str(A)),), "key usage"),
    ],
)
async def test_certificates_of_the_wrong_form_prove_nothing(
    extensions: Sequence[x509.ExtensionType], why: str
) -> None:
    """Though the mesh's own CA signed it, a certificate of another form, domain or usage is refused with the reason (or
    ends the handshake, where TLS itself says no), without an end to its length, and counted.
    """
    mesh = HandMesh([cluster("one")])
    async with secured(mesh) as made, neighbour(made, mesh):
        async with made.by_certificate(signed(made, *extensions)) as channel:
            code, details = await refusal(channel)
        if why == "UNAVAILABLE":
            assert (code, made.refused) == (UNAVAILABLE, [])
        else:
            assert (code, made.refused) == (UNAUTHENTICATED, ["bad certificate"])
            assert why in details
            assert len(details) < 1000


@pytest.mark.parametrize(("begins", "ends"), [(-2 * HOUR, -HOUR), (HOUR, 2 * HOUR)])
async def test_certificates_out_of_their_time_end_the_handshake(begins: timedelta, ends: timedelta) -> None:
    """Expired or not yet valid, TLS itself refuses, and nobody else is disturbed."""
    mesh = HandMesh([cluster("one")])
    async with secured(mesh) as made, neighbour(made, mesh):
        credential = signed(made, SIGNS, named(str(A)), begins=begins, ends=ends)
        async with made.by_certificate(credential) as channel:
            code, _ = await refusal(channel)
        assert code is UNAVAILABLE
        assert len(made.server.status()) == 1


async def test_a_huge_certificate_is_not_looked_at() -> None:
    """A certificate of thousands of names is refused, by its size or by the transport's, and costs nobody."""
    mesh = HandMesh([cluster("one")])
    names = x509.SubjectAlternativeName([x509.DNSName(f"{each}.{'x' * 60}.example") for each in range(2_000)])
    async with secured(mesh) as made, neighbour(made, mesh):
        async with made.by_certificate(signed(made, SIGNS, names)) as channel:
            code, details = await refusal(channel)
        assert code in {UNAUTHENTICATED, UNAVAILABLE}, details
        assert len(details) < 1000


@pytest.mark.parametrize("size", [5_000, 100_000, 2_000_000])
async def test_a_huge_token_is_refused_and_harms_nobody(size: int) -> None:
    """However long a token is, its call ends, and whoever shares the daemon is served."""
    mesh = HandMesh([cluster("one")])
    async with secured(mesh) as made, neighbour(made, mesh), made.by_token() as channel:
        code, details = await refusal(channel, "x" * size)
        assert code in {UNAUTHENTICATED, UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert "xxxx" not in details


@pytest.mark.parametrize("off", [-HOUR, HOUR])
async def test_a_daemon_whose_clock_is_an_hour_off_serves_proxies_whose_is_right(off: timedelta) -> None:
    """By its own clock it makes the root, its certificate and others'; clocks that are right take all of them, and those
    of the daemon are taken by one that is right.
    """
    mesh = HandMesh([cluster("one")])
    async with secured(mesh, lifetime=3 * HOUR, off=off) as wrong, neighbour(wrong, mesh):
        credential = await wrong.authority.credential(A)
        async with wrong.by_certificate(credential) as channel:
            await (await opened(channel)).hears()
        assert prove(credential.svid.certificate, A.trust_domain, datetime.now(UTC)).identity == A


@pytest.mark.parametrize(("signer", "looker"), [(-HOUR, HOUR), (HOUR, -HOUR)])
async def test_clocks_two_hours_apart_are_told(signer: timedelta, looker: timedelta) -> None:
    """A certificate that begins in the future of whoever looks is refused with a word on clocks; one that was made by a
    clock behind ends as much earlier.
    """
    mesh = HandMesh([cluster("one")])
    async with secured(mesh, lifetime=4 * HOUR, off=signer) as made:
        credential = await made.authority.credential(A)
        made.clock.ahead = looker
        async with connected(made.mtls, certified(made.authority.bundle, credential)) as channel:
            call = await opened(channel)
            if signer > looker:
                code, details = await call.ends()
                assert code is UNAUTHENTICATED
                assert "is valid from" in details
                assert "check the clocks" in details
            else:
                await call.hears()
                made.clock.ahead = looker + 2 * HOUR + timedelta(minutes=1)
                await made.server.recheck()
                assert "has expired; connect again" in (await call.ends())[1]


async def test_a_token_ends_by_the_daemons_clock_and_says_when() -> None:
    """A daemon whose clock is ahead of who made the token says when that expired, by a time that a person can hold
    against a clock.
    """
    mesh = HandMesh([cluster("one")])
    async with secured(mesh) as made, made.by_token() as channel:
        text, token = await made.made(A)
        made.clock.ahead = HOUR + timedelta(minutes=1)
        code, details = await refusal(channel, text)
        assert code is UNAUTHENTICATED
        assert f"the join token expired at {token.expires.isoformat()}" in details
        made.clock.ahead = timedelta()
        await (await opened(channel, text)).hears()
        assert made.refused == ["expired token"]


async def test_whatever_is_shown_a_stream_asks_for_nothing_before() -> None:
    """Nothing of a request is looked at before its sender has proved who it is, not even one that is large."""
    mesh = HandMesh([cluster("one")])
    async with secured(mesh) as made, made.by_token() as channel:

        async def refused() -> bool:
            call = Call(channel, DELTA, metadata=bearer("nonsense"))
            await call.asks(CLUSTER, *("n" * 1000 for _ in range(100)))
            code, _ = await call.ends()
            # A client that asks as its stream ends may not be told why (grpc issue 36066).
            assert code in {UNAUTHENTICATED, grpc.StatusCode.INTERNAL}
            return code is UNAUTHENTICATED

        await eventually(refused, "the client is told")
        assert mesh.attached == []
