"""What a stream was given is held by nobody once the stream is over: looked for in all that lives in this process."""

import asyncio

import pytest
import structlog
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from structlog.testing import capture_logs

from tests.lab.eventually import eventually
from tests.lab.forgetting import holders
from tests.secrets.test_keeper import Notes
from tests.server.client import DELTA, NODE, SOTW, Call
from tests.server.hand import HandMesh
from tests.server.secure import A, B, Secure, secured
from tests.server.test_tls import bearer
from xdsd.ca.authority import Authority
from xdsd.secrets.keeper import Keeper
from xdsd.snapshot import SECRET


def keep(authority: Authority) -> Keeper:
    loop = asyncio.get_running_loop()
    return Keeper(authority, loop.time, lambda: 0.5, structlog.get_logger(), Notes())


async def line_of_key(call: Call, ends: str) -> bytes:
    """Asks for the stream's own key, as a proxy does, and answers as ``ends`` says; a line of it."""
    await call.asks(SECRET, "default")
    heard = await call.hears()
    body = heard.resources[0].resource.value if call.is_delta else heard.resources[0].value
    secret = Secret.FromString(body)
    await call.asks(SECRET, *(() if call.is_delta else ("default",)), nonce=heard.nonce, error=ends or None)
    line: bytes = secret.tls_certificate.private_key.inline_bytes.splitlines()[1]
    return bytes(line)


async def open_and_end(made: Secure, method: str, ends: str) -> bytes:
    """A stream that is given a key, and is gone; a line of the key."""
    async with made.by_token() as channel:
        call = Call(channel, method, NODE, metadata=bearer(await made.token(A)))
        line = await line_of_key(call, ends)
        if ends == "half":
            await call.half_closes()
            await call.ends()
        else:
            call.cancel()
        await eventually(lambda: len(made.server._sessions) == 1, "its stream is gone")
        return line


@pytest.mark.parametrize(
    ("method", "ends"),
    [(DELTA, ""), (SOTW, "half"), (DELTA, "this key is refused")],
    ids=["delta", "sotw", "nack"],
)
async def test_a_key_goes_with_its_stream(method: str, ends: str) -> None:
    """However a stream of a proxy ends, that took its key or refused it, nothing here has the key, nor what was said about
    it; another's, which is still connected, stays.
    """
    with capture_logs() as logs:
        async with secured(HandMesh(), keep=keep) as made, made.by_token() as other:
            stays = Call(other, DELTA, NODE.replace("~a.", "~b."), metadata=bearer(await made.token(B)))
            kept = await line_of_key(stays, "")
            line = await open_and_end(made, method, ends)

            async def forgotten() -> None:
                assert holders(line) == []

            await eventually(forgotten, "nobody has the key")
            assert "xdsd.snapshot.Resource" in holders(kept)
        assert line.decode() not in str(logs)
