"""Who asks a daemon that has just begun whom to trust."""

import asyncio
from datetime import timedelta
from typing import Any, NoReturn

import grpc
import pytest
import structlog

from api.access.caller import ROOT, enter
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.services import joining
from api.services.joined import Joined
from api.services.joining import JoiningService
from api.wire import FAULT
from storage.memory import MemoryStore
from tests.ca.making import DOMAIN
from xdsd.ca.authority import Authority
from xdsd.ca.sealing import Sealer
from xdsd.ca.stored import StoredRoots
from xdsd.model.identity import SpiffeID
from xdsd.model.key_type import KeyType


class Aborted(Exception):  # noqa: N818 - it says how the call ended
    """The code, the words and what comes with them."""


class Call:
    """As much of a call as is needed."""

    async def abort(
        self, code: grpc.StatusCode, why: str, trailing: tuple[tuple[str, str], ...] = ()
    ) -> NoReturn:
        raise Aborted(code, why, trailing)


@pytest.fixture
def authority() -> Authority:
    """Nobody runs it yet."""
    log = structlog.get_logger()
    source = StoredRoots(MemoryStore(), Sealer(b"k" * 32), DOMAIN, KeyType.ECDSA_P256, log)
    return Authority(source, DOMAIN, timedelta(hours=1))


@pytest.fixture
def service(authority: Authority) -> JoiningService:
    nothing: Any = None
    server = SpiffeID(DOMAIN, "istio-system", "xdsd")
    return JoiningService(Joined(authority, nothing, nothing, nothing, None, server))


async def test_they_wait_for_the_ca(service: JoiningService, authority: Authority) -> None:
    """It is known in a moment; a page's next command need not be typed again."""
    enter(ROOT)
    call: Any = Call()
    asked = asyncio.create_task(service.GetTrust(pb.GetTrustRequest(), call))
    await asyncio.sleep(0)
    assert not asked.done()
    running = asyncio.create_task(authority.run())
    async with asyncio.timeout(60):
        trust = await asked
    assert trust.bundle == authority.bundle != b""
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_they_are_told_where_to_look_if_it_is_not(
    service: JoiningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the daemon, which is there."""
    monkeypatch.setattr(joining, "PATIENCE", 0.0)
    enter(ROOT)
    call: Any = Call()
    with pytest.raises(Aborted) as told:
        await service.GetTrust(pb.GetTrustRequest(), call)
    code, why, trailing = told.value.args
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "xdsctl problems" in why
    assert dict(trailing)[FAULT] == "ca"
