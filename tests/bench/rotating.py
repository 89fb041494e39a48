"""A server whose proxies are given certificates, as the daemon joins it; told when to renew them all."""

import asyncio
import json
import logging
import random
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from storage.memory import MemoryStore
from tests.bench.control import Order, obey, prepare, settle, usage
from tests.secrets.authorities import TRUST_DOMAIN, Roots
from tests.server.hand import HandMesh
from xdsd.ca.authority import Authority
from xdsd.ca.proving import Identifier, identity_of_server
from xdsd.ca.registers import Tokens
from xdsd.ca.revoked import Revocations
from xdsd.model.identity import SpiffeID
from xdsd.protocol.observer import Unobserved
from xdsd.secrets.keeper import Keeper
from xdsd.server import XdsServer
from xdsd.server.certificates import ServerCertificates
from xdsd.server.gate import Gate
from xdsd.throttle import Throttle

LIFETIME = timedelta(hours=24)
_LOOK = 0.002


class Counts(Unobserved):
    """Certificates that were made."""

    def __init__(self) -> None:
        self.issued = 0

    def certificate_issued(self) -> None:
        self.issued += 1

    def certificate_failed(self) -> None: ...

    def leases(self, count: int) -> None: ...


class Lag:
    """How late the event loop came to what was due, at worst, since it was last asked."""

    def __init__(self) -> None:
        self.worst = 0.0

    async def watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LOOK
            await asyncio.sleep(_LOOK)
            self.worst = max(self.worst, loop.time() - due)

    def taken(self) -> float:
        worst, self.worst = self.worst, 0.0
        return worst


async def main(options: dict[str, Any]) -> None:
    prepare(options["core"])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    loop, log, counts, lag = asyncio.get_running_loop(), structlog.get_logger(), Counts(), Lag()
    ahead = 0.0
    roots, store = Roots(), MemoryStore()
    authority = Authority(roots, TRUST_DOMAIN, LIFETIME)
    tokens, revocations = Tokens(store, log), Revocations(store, log)
    identifier = Identifier(authority, tokens, revocations, Throttle(loop.time), lambda: datetime.now(UTC))
    keeper = Keeper(authority, lambda: loop.time() + ahead, random.random, log, counts)
    gate = Gate(identifier, log, lambda _: None)
    server = XdsServer(HandMesh(), log, counts, gate=gate, secrets=keeper)
    certificates = ServerCertificates(authority, identity_of_server(TRUST_DOMAIN, "istio-system"), log)
    works = (authority.run(), tokens.run(), revocations.run(), certificates.run(), keeper.run(), lag.watch())
    tasks = [asyncio.ensure_future(work) for work in works]
    port = server.listen_tls("127.0.0.1:0", certificates.credentials(demand=False))
    await asyncio.gather(tokens.known(), revocations.known(), certificates.ready())
    await server.start()
    token, _ = await tokens.create(
        SpiffeID(TRUST_DOMAIN, "default", "a"), datetime.now(UTC), timedelta(hours=1)
    )

    async def perform(order: Order) -> Any:
        nonlocal ahead
        match order["order"]:
            case "join":
                return {"port": port, "token": token, "roots": authority.bundle.decode()}
            case "settle":
                settle()
                return lag.taken()
            case "usage":
                return {**usage(), "issued": counts.issued, "lag": lag.taken()}
            case "all-due":
                ahead += LIFETIME.total_seconds() * 0.56
                keeper.look()
                return None
            case "other-root":
                roots.change()
                return None
            case other:
                raise ValueError(other)

    await obey(perform)
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
