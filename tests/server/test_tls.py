"""The TLS ports: who passes, who is refused, and when a stream ends for its proof."""

import asyncio
import socket
import ssl
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from structlog.testing import capture_logs

from tests.lab import handshakes
from tests.lab.eventually import eventually
from tests.server.client import DELTA, NODE, SOTW, Call
from tests.server.hand import HandMesh, cluster
from tests.server.secure import DOMAIN, A, B, Secure, certified, connected, secured
from xdsd.ca.authority import Credential
from xdsd.ca.issuer import Request, bundle, issue, make_root
from xdsd.ca.keys import new_key, private_pem
from xdsd.ca.revocations import Revocation
from xdsd.compile.proxies import proxy_of
from xdsd.listening import Adopted, adopt
from xdsd.model.identity import SpiffeID
from xdsd.snapshot import CLUSTER

HOUR = timedelta(hours=1)
UNAUTHENTICATED, DENIED = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """As Envoy's initial metadata brings it."""
    return (("authorization", f"Bearer {token}"),)


async def opened(channel: grpc.aio.Channel, token: str = "", node: str = NODE, method: str = DELTA) -> Call:
    """A stream that has asked for clusters."""
    return await Call(channel, method, node, metadata=bearer(token) if token else ()).asks(CLUSTER)


async def refusal(channel: grpc.aio.Channel, token: str = "") -> tuple[grpc.StatusCode, str]:
    """How a stream is refused that does not ask: a client of grpc.aio that writes as its stream ends may lose what it is
    told (grpc issue 36066).
    """
    return await Call(channel, DELTA, metadata=bearer(token) if token else ()).ends()


@pytest.mark.parametrize("method", [DELTA, SOTW])
async def test_a_token_opens_a_stream(method: str) -> None:
    """A proxy with a join token is served over TLS, and its node has the token's identity."""
    mesh = HandMesh([cluster("one")])
    async with secured(mesh) as made, made.by_token() as channel:
        call = await opened(channel, await made.token(), method=method)
        assert (await call.hears()).resources
        assert [node.identity for node in mesh.attached] == [A]
        (status,) = made.server.status()
        assert status.identity is not None
        assert status.identity.identity == A


async def test_a_certificate_opens_a_stream() -> None:
    """A proxy with a certificate of the mesh is served on the port that demands one."""
    mesh = HandMesh([cluster("one")])
    async with secured(mesh) as made, made.by_certificate(await made.authority.credential(A)) as channel:
        call = await opened(channel)
        assert (await call.hears()).resources
        assert [node.identity for node in mesh.attached] == [A]


async def test_nobody_passes_without_a_proof() -> None:
    """Over TLS a stream without a token is refused with what to do, and counted; nothing was attached."""
    mesh = HandMesh([cluster("one")])
    async with secured(mesh) as made, made.by_token() as channel:
        code, details = await refusal(channel)
        assert code is UNAUTHENTICATED
        assert "xdsctl token create" in details
        assert made.refused == ["no credentials"]
        assert mesh.attached == []


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        ("Bearer xdsdj_000000000000_" + "A" * 43, "unknown token"),
        ("Bearer nonsense", "malformed token"),
        ("Basic of-nobody-at-all", "malformed token"),
        ("Bearer " + "x" * 5000, "malformed token"),
    ],
)
async def test_bad_tokens_are_refused_without_showing_them(authorization: str, reason: str) -> None:
    """Whatever is no token that was made is refused; neither the answer nor the log has it."""
    async with secured(HandMesh()) as made, made.by_token() as channel:
        with capture_logs() as logs:
            call = Call(channel, DELTA, metadata=(("authorization", authorization),))
            code, details = await call.ends()
        assert code is UNAUTHENTICATED
        assert made.refused == [reason]
        assert authorization.partition(" ")[2] not in details + str(logs)


async def test_a_token_of_which_only_the_id_is_right_is_refused() -> None:
    """The secret half counts: an id that leaked proves nothing."""
    async with secured(HandMesh()) as made, made.by_token() as channel:
        token = await made.token()
        code, _ = await refusal(channel, token[:-43] + "A" * 43)
        assert (code, made.refused) == (UNAUTHENTICATED, ["unknown token"])


async def test_who_claims_another_namespace_is_refused() -> None:
    """A node that says another namespace than was proven is refused, by name, and counted."""
    async with secured(_Judging()) as made, made.by_token() as channel:
        call = await opened(channel, await made.token(), NODE.replace("a.default", "a.bank"))
        code, details = await call.ends()
        assert code is DENIED
        assert "'bank'" in details
        assert str(A) in details


class _Judging(HandMesh):
    """A mesh that looks at claims as the daemon's does."""

    async def attach(self, node: object) -> None:
        proxy_of(node)  # type: ignore[arg-type]  # a node
        await super().attach(node)  # type: ignore[arg-type]  # likewise


async def test_an_expired_token_opens_nothing_and_ends_its_streams() -> None:
    """When a token expires its streams end with a reason, and it opens no other."""
    async with secured(HandMesh([cluster("one")])) as made, made.by_token() as channel:
        token = await made.token()
        call = await opened(channel, token)
        await call.hears()
        made.clock.ahead = HOUR
        await made.server.recheck()
        code, details = await call.ends()
        assert code is UNAUTHENTICATED
        assert "expired" in details
        _, details = await refusal(channel, token)
        assert "expired at" in details


async def test_a_revoked_token_ends_its_streams_at_once() -> None:
    """A revoked token's streams end by themselves; those of others go on."""
    async with secured(HandMesh([cluster("one")])) as made, made.by_token() as channel:
        text, token = await made.made(A)
        bad, good = (
            await opened(channel, text),
            await opened(channel, await made.token(B), NODE.replace("~a.", "~b.")),
        )
        await bad.hears()
        await good.hears()
        await made.tokens.revoke(token.id, "tester")
        code, details = await bad.ends()
        assert code is UNAUTHENTICATED
        assert "was revoked" in details
        await eventually(lambda: len(made.server.status()) == 1, "the other's goes on alone")


@pytest.mark.parametrize("by_serial", [True, False])
async def test_a_revoked_certificate_ends_its_streams_and_opens_none(by_serial: bool) -> None:
    """Revoked by serial or by identity, a certificate's stream ends at once, and a new one is refused."""
    async with secured(HandMesh([cluster("one")])) as made:
        credential = await made.authority.credential(A)
        async with made.by_certificate(credential) as channel:
            call = await opened(channel)
            await call.hears()
            now = made.clock()
            what = {"serial": credential.svid.certificate.serial_number} if by_serial else {"identity": A}
            await made.revocations.add(Revocation(now, now + HOUR, **what))
            code, details = await call.ends()
            assert code is UNAUTHENTICATED
            assert "is revoked until" in details
            with capture_logs() as logs:
                code, _ = await refusal(channel)
            assert code is UNAUTHENTICATED
            (told,) = [each for each in logs if each["event"] == "a proxy is refused"]
            serial = f"{credential.svid.certificate.serial_number:x}"
            assert (told["identity"], told["credential"]) == (str(A), f"certificate {serial}")


async def test_a_certificate_that_expires_ends_its_streams() -> None:
    """A stream does not outlive the certificate that it began with: a stolen one is worth little."""
    async with (
        secured(HandMesh([cluster("one")])) as made,
        made.by_certificate(await made.authority.credential(A)) as channel,
    ):
        call = await opened(channel)
        await call.hears()
        made.clock.ahead = HOUR
        await made.server.recheck()
        _, details = await call.ends()
        assert "connect again" in details


def foreign(made: Secure, *, domain: str = DOMAIN) -> tuple[bytes, Credential]:
    """A certificate of the same name from a CA that is not the mesh's."""
    now, key = made.clock(), new_key()
    ca = make_root(new_key(), domain, HOUR, now, 1)
    svid = issue(ca, Request(key.public_key(), SpiffeID(domain, "default", "a"), HOUR, now, 2))
    return bundle(ca.chain), Credential(svid, private_pem(key))


async def test_certificates_of_others_do_not_even_connect() -> None:
    """A certificate that no trusted root signed, or none, ends the handshake."""
    async with secured(HandMesh()) as made:
        _, stranger = foreign(made)
        for credentials in (
            certified(made.authority.bundle, stranger),
            grpc.ssl_channel_credentials(made.authority.bundle),
        ):
            async with connected(made.mtls, credentials) as channel:
                code, _ = await (Call(channel, DELTA)).ends()
                assert code is grpc.StatusCode.UNAVAILABLE


async def test_the_servers_own_certificate_is_no_proxys() -> None:
    """A client that does not trust the mesh's root does not talk to the server at all."""
    async with secured(HandMesh()) as made:
        other, _ = foreign(made)
        async with made.by_token(bundle=other) as channel:
            code, _ = await Call(channel, DELTA).ends()
            assert code is grpc.StatusCode.UNAVAILABLE


async def test_old_versions_and_ciphers_are_not_spoken(tmp_path: Path) -> None:
    """Of what OpenSSL has, on both ports: TLS before 1.2, and ciphers of 1.2 without ephemeral keys or without
    authentication of what they encrypt, are refused; 1.3 is spoken.
    """
    async with secured(HandMesh()) as made:
        credential, own = await made.authority.credential(A), tmp_path / "own.pem"
        own.write_bytes(credential.svid.chain + credential.key)
        for port, shown in ((made.tls, None), (made.mtls, own)):
            assert "TLSv1.3" in await asyncio.to_thread(handshakes.handshake, port, own=shown)
            spoken = await asyncio.to_thread(handshakes.ciphers_of, port, shown)
            assert spoken
            assert spoken <= handshakes.MODERN
            assert await asyncio.to_thread(handshakes.old_versions_of, port, shown) == set()


async def test_what_others_serve_is_guarded_too() -> None:
    """A service that stands beside xDS on the port, such as the limiter, is reached with a proof alone."""

    async def echo(request: bytes, _: object) -> bytes:
        return request

    handler = grpc.method_handlers_generic_handler(
        "test.Echo",
        {"Echo": grpc.unary_unary_rpc_method_handler(echo)},
    )
    async with (
        secured(HandMesh(), prepare=lambda made: made.server.also_serve(handler)) as made,
        made.by_token() as channel,
    ):
        call = channel.unary_unary("/test.Echo/Echo", None, None)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(b"x")
        assert refused.value.code() is UNAUTHENTICATED
        assert await call(b"x", metadata=bearer(await made.token())) == b"x"


async def test_plaintext_streams_have_no_identity() -> None:
    """A stream on the plaintext port has proven nothing, whatever token or node it sends."""
    mesh = HandMesh([cluster("one")])
    port = 0

    def prepare(made: Secure) -> None:
        nonlocal port
        port = made.server.listen("127.0.0.1:0")

    async with (
        secured(mesh, prepare=prepare) as made,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        call = await opened(channel, await made.token())
        await call.hears()
        assert [node.identity for node in mesh.attached] == [None]


async def test_a_kept_socket_speaks_tls_and_knows_who_calls() -> None:
    """A socket that the service manager keeps is served over TLS, and networks of tokens hold by the caller's address."""
    with socket.create_server(("127.0.0.1", 0)) as kept:
        adopted: list[Adopted] = []

        def prepare(made: Secure) -> None:
            credentials = made.certificates.credentials(demand=False)
            adopted.append(adopt(lambda where: made.server.listen_tls(where, credentials), kept))

        async with secured(HandMesh([cluster("one")]), prepare=prepare) as made:
            trusted = grpc.ssl_channel_credentials(made.authority.bundle)
            async with connected(kept.getsockname()[1], trusted) as channel:
                near, far = (
                    await made.token(networks=("127.0.0.0/8",)),
                    await made.token(networks=("10.0.0.0/8",)),
                )
                await (await opened(channel, near)).hears()
                _, details = await refusal(channel, far)
                assert "this is 127.0.0.1" in details
            adopted[0].release()


async def test_a_renewed_server_certificate_serves_new_connections() -> None:
    """The server's certificate is replaced while it serves: old streams go on, new ones see the new one."""
    async with secured(HandMesh([cluster("one")])) as made, made.by_token() as channel:
        call = await opened(channel, await made.token())
        await call.hears()
        before = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", made.tls))
        made.authority._take(made.authority._trust)  # type: ignore[arg-type]  # the same trust, told anew

        async def renewed() -> bool:
            now = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", made.tls))
            return now != before

        await eventually(renewed, "another certificate")
        assert len(made.server.status()) == 1
        async with made.by_token() as other:
            await (await opened(other, await made.token(), NODE.replace("127.0.0.1", "127.0.0.2"))).hears()
