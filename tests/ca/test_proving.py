"""Finding out whose a stream is, apart from any wire."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.memory import MemoryStore
from tests.ca import test_service_accounts as service_accounts
from tests.ca.making import DAY, DOMAIN, NOW, REVIEWS, issued, root
from tests.lab.eventually import eventually
from xdsd.ca.authority import Authority
from xdsd.ca.cluster_keys import ClusterKeys
from xdsd.ca.issuer import pem
from xdsd.ca.proving import Identifier, Shown, Unproven, identity_of_server
from xdsd.ca.registers import Tokens
from xdsd.ca.revocations import Revocation
from xdsd.ca.revoked import Revocations
from xdsd.ca.sealing import Sealer
from xdsd.ca.service_accounts import Account, Cluster, InvalidAccountToken
from xdsd.ca.stored import StoredRoots
from xdsd.ca.token_review import ReviewUnavailable
from xdsd.ca.tokens import JoinToken
from xdsd.model.identity import Proof, SpiffeID
from xdsd.model.key_type import KeyType
from xdsd.server.gate import UNKNOWN_YET
from xdsd.throttle import Throttle

HOUR = timedelta(hours=1)


class Slow(Throttle):
    """Remembers what was attempted, and waits for nobody."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.0)
        self.attempts: list[tuple[str, ...]] = []

    async def attempt(self, keys: Sequence[str]) -> None:
        self.attempts.append(tuple(keys))


@dataclass
class Door:
    """An identifier, and what stands behind it."""

    identifier: Identifier
    tokens: Tokens
    revocations: Revocations
    slow: Slow
    now: datetime = NOW
    made: list[JoinToken] = field(default_factory=list)

    async def token(self, **more: Any) -> str:
        """The text of a token of an hour."""
        text, token = await self.tokens.create(REVIEWS, self.now, HOUR, **more)
        self.made.append(token)
        return text

    async def refused(self, shown: Shown, **more: Any) -> str:
        """The reason of a refusal."""
        with pytest.raises(Unproven) as unproven:
            await self.identifier.identify(shown, **more)
        return unproven.value.reason


@asynccontextmanager
async def door(
    cluster: Callable[[], Cluster | None] = lambda: None, reviewer: Any = None
) -> AsyncIterator[Door]:
    """While it is known who has what."""
    log, store, slow = structlog.get_logger(), MemoryStore(), Slow()
    tokens, revocations = Tokens(store, log), Revocations(store, log)
    source = StoredRoots(store, Sealer(b"k" * 32), DOMAIN, KeyType.ECDSA_P256, log)
    authority = Authority(source, DOMAIN, HOUR)
    server = identity_of_server(DOMAIN, "istio-system")
    identifier = Identifier(authority, tokens, revocations, slow, lambda: made.now, cluster, reviewer, server)
    made = Door(identifier, tokens, revocations, slow)
    tasks = [asyncio.create_task(each.run()) for each in (tokens, revocations)]
    try:
        await asyncio.gather(tokens.known(), revocations.known())
        yield made
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await store.close()


def bearer(token: str, address: str = "10.0.0.1") -> Shown:
    """A client with a token."""
    return Shown(address, f"Bearer {token}")


def guess(text: str) -> str:
    """The same token with another secret."""
    return text[:-1] + ("A" if text[-1] != "A" else "E")


async def test_a_token_proves_its_identity() -> None:
    """What is proved has the token's id and end, and nothing that proves it again."""
    async with door() as made:
        text = await made.token()
        found = await made.identifier.identify(bearer(text))
        assert (found.identity, found.proof, found.credential) == (REVIEWS, Proof.TOKEN, made.made[0].id)
        assert found.expires == NOW + HOUR
        assert text not in repr(found)
        assert made.slow.attempts == []


async def test_nobody_proves_to_be_the_daemon() -> None:
    """Neither by a certificate of its name, as one that leaked, nor by a token of its account."""
    server = identity_of_server(DOMAIN, "istio-system")
    async with door() as made:
        certificate = pem(issued(root(), server, serial=0x2A).certificate)
        assert await made.refused(Shown("10.0.0.1", None, certificate)) == "reserved"
        text, token = await made.tokens.create(server, made.now, HOUR)
        await eventually(lambda: made.tokens.get(token.id) is not None)
        assert await made.refused(bearer(text)) == "reserved"


async def test_a_certificate_comes_before_a_token() -> None:
    """What the transport verified counts, whatever else is sent."""
    async with door() as made:
        certificate = pem(issued(root(), SpiffeID(DOMAIN, "default", "b"), serial=0x2A).certificate)
        shown = Shown("10.0.0.1", f"Bearer {await made.token()}", certificate)
        found = await made.identifier.identify(shown)
        assert (found.identity.service_account, found.proof, found.credential) == (
            "b",
            Proof.CERTIFICATE,
            "2a",
        )
        assert "Bearer" not in repr(shown)


async def test_guesses_are_slowed_by_origin_and_aim() -> None:
    """A wrong secret counts for where it comes from and for the token it is at; an expired one of its owner does not."""
    async with door() as made:
        text = await made.token()
        assert await made.refused(bearer(guess(text))) == "unknown token"
        assert await made.refused(bearer("x", "2001:db8::1")) == "malformed token"
        assert made.slow.attempts == [
            ("join from 10.0.0.1", f"join token {made.made[0].id}"),
            ("join from 2001:db8::/64",),
        ]
        made.now += HOUR
        assert await made.refused(bearer(text)) == "expired token"
        assert len(made.slow.attempts) == 2


async def test_what_is_bound_stays_bound() -> None:
    """Networks, single uses and revocations each shut out, by a reason of their own."""
    async with door() as made:
        bound, once = await made.token(networks=("192.0.2.0/24",)), await made.token(single_use=True)
        assert await made.refused(bearer(bound)) == "wrong network"
        await made.identifier.identify(bearer(bound, "192.0.2.9"))
        assert await made.refused(bearer(once), lasting=True) == "single use"
        found = await made.identifier.identify(bearer(once))
        assert made.identifier.lapsed(found) == ""
        await made.revocations.add(Revocation(NOW, NOW + DAY, identity=REVIEWS))
        assert await made.refused(bearer(once)) == "revoked"
        assert "is revoked until" in made.identifier.lapsed(found)


async def test_a_refusal_says_whose_it_is_as_far_as_that_is_known() -> None:
    """For the log: the identity that was proved, and by which token or certificate; of a guess the token that it is at."""
    async with door() as made:
        bound = await made.token(networks=("192.0.2.0/24",))
        certificate = pem(issued(root(), serial=0x2A).certificate)
        await made.revocations.add(Revocation(NOW, NOW + DAY, serial=0x2A))
        token = f"token {made.made[0].id}"
        for shown, identity, credential in (
            (bearer(bound), str(REVIEWS), token),
            (bearer(guess(bound)), "", token),
            (bearer("x"), "", ""),
            (Shown("", None, certificate), str(REVIEWS), "certificate 2a"),
        ):
            with pytest.raises(Unproven) as unproven:
                await made.identifier.identify(shown)
            assert (unproven.value.identity, unproven.value.credential) == (identity, credential)


async def test_a_proof_lapses_in_every_way() -> None:
    """With time, with its token, with its serial; what is another's changes nothing."""
    async with door() as made:
        by_token = await made.identifier.identify(bearer(await made.token()))
        certificate = pem(issued(root(), serial=7, lifetime=HOUR).certificate)
        by_certificate = await made.identifier.identify(Shown("", None, certificate))
        await made.revocations.add(Revocation(NOW, NOW + DAY, serial=8))
        assert made.identifier.lapsed(by_token) == made.identifier.lapsed(by_certificate) == ""
        await made.revocations.add(Revocation(NOW, NOW + DAY, serial=7))
        assert "certificate 7 is revoked" in made.identifier.lapsed(by_certificate)
        await made.tokens.revoke(by_token.credential, "root")
        assert "was revoked" in made.identifier.lapsed(by_token)
        made.now += HOUR
        assert "has expired" in made.identifier.lapsed(by_token)


async def test_a_service_account_token_proves_its_account(tmp_path: Path) -> None:
    """With the cluster's keys a token of it proves who a proxy is; replaced keys count, and without keys there is none."""
    file = tmp_path / "keys.pem"
    file.write_bytes(service_accounts.pem(service_accounts.EC))
    keys = ClusterKeys(
        file, service_accounts.ISSUER, service_accounts.AUDIENCE, structlog.get_logger(), every=0.02
    )
    async with door(lambda: keys.cluster) as made:
        text = service_accounts.token(service_accounts.EC)
        assert await made.refused(bearer(text)) == "malformed token"
        task = asyncio.create_task(keys.run())
        await eventually(lambda: keys.cluster is not None, "the keys are read")
        found = await made.identifier.identify(bearer(text), lasting=True)
        assert (found.identity, found.proof) == (SpiffeID(DOMAIN, "shop", "reviews"), Proof.ACCOUNT)
        assert made.identifier.lapsed(found) == ""
        file.write_bytes(b"nothing")
        await made.identifier.identify(bearer(text))
        file.write_bytes(service_accounts.pem(service_accounts.RSA))
        await eventually(lambda: "RSA" in repr(keys.cluster and keys.cluster.keys), "the keys are new")
        assert await made.refused(bearer(text)) == "bad service account token"
        made.now += HOUR
        assert "has expired" in made.identifier.lapsed(found)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


_CERTIFICATE = pem(issued(root()).certificate)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=120) | st.just("Bearer " + "x" * 5000), st.binary(max_size=200), st.integers(0, 700))
def test_whatever_is_shown_is_proved_or_refused(authorization: str, junk: bytes, place: int) -> None:
    """No text and no bytes raise anything but a refusal, which repeats none of it."""

    async def all_are_refused() -> None:
        async with door() as made:
            spoiled = _CERTIFICATE[:place] + junk + _CERTIFICATE[place + len(junk) + 1 :]
            for shown in (Shown("a", authorization), Shown("a", None, spoiled), Shown("a", None, junk)):
                try:
                    await made.identifier.identify(shown)
                except Unproven as unproven:
                    said = str(unproven)
                    assert len(said) < 500
                    assert len(authorization) < 25 or authorization not in said

    asyncio.run(all_are_refused())


class Reviewer:
    """Answers as it is told."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    async def review(self, text: str, now: datetime) -> Account:
        if self.error is not None:
            raise self.error
        return Account("default", "reviews", now + HOUR, text[:3])


async def test_a_cluster_that_is_asked_decides() -> None:
    """Its word is a proof until the token expires; one that cannot be asked is no guess of anybody's, and join tokens and
    certificates are nothing to it.
    """
    reviewer = Reviewer()
    async with door(reviewer=reviewer) as made:
        shown = Shown("10.0.0.1", "Bearer abc.def.ghi")
        found = await made.identifier.identify(shown, lasting=True)
        assert (found.identity, found.proof, found.expires) == (REVIEWS, Proof.ACCOUNT, NOW + HOUR)
        assert made.identifier.lapsed(found) == ""
        reviewer.error = ReviewUnavailable("it is away")
        with pytest.raises(Unproven, match="it is away; try again") as unproven:
            await made.identifier.identify(shown)
        assert unproven.value.reason in UNKNOWN_YET
        assert made.slow.attempts == []
        reviewer.error = InvalidAccountToken("it is not known")
        with pytest.raises(Unproven, match="it is not known"):
            await made.identifier.identify(shown)
        assert made.slow.attempts == [("join from 10.0.0.1",)]
        assert (
            await made.identifier.identify(Shown("10.0.0.1", f"Bearer {await made.token()}"))
        ).proof is Proof.TOKEN
