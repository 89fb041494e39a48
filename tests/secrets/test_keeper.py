"""Making and renewing what streams are given, by a real authority."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret

from tests.credentials.test_reading import AUTHORITY, CERT, NOW, PRIVATE
from tests.lab.eventually import eventually
from tests.lab.forgetting import living
from tests.secrets.authorities import TRUST_DOMAIN, Roots, authority
from xdsd.ca.checking import prove
from xdsd.ca.issuer import fingerprint
from xdsd.credentials.messages import secrets_of
from xdsd.credentials.reading import Credential, CredentialKind, read_material
from xdsd.model.credential import CredentialName
from xdsd.model.identity import SpiffeID
from xdsd.secrets import keeper as keeping
from xdsd.secrets.keeper import Keeper
from xdsd.snapshot import Resource

ALICE = SpiffeID(TRUST_DOMAIN, "default", "alice")
BOB = SpiffeID(TRUST_DOMAIN, "default", "bob")


@dataclass(slots=True)
class Notes:
    """Remembers what is logged and counted."""

    lines: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    issued: int = 0
    failed: int = 0
    open: int = 0

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields))

    def certificate_issued(self) -> None:
        self.issued += 1

    def certificate_failed(self) -> None:
        self.failed += 1

    def leases(self, count: int) -> None:
        self.open = count


class Clock:
    """Real time, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.ahead


class Stream:
    """What was delivered to a stream; ``then`` is called each time."""

    def __init__(self, then: Callable[[], object] = lambda: None) -> None:
        self.got: list[dict[str, Resource]] = []
        self._then = then

    def __call__(self, resources: tuple[Resource, ...]) -> None:
        self.got.append({each.name: each for each in resources})
        self._then()

    @property
    def now(self) -> dict[str, Resource]:
        return self.got[-1]


@dataclass(slots=True)
class Room:
    keeper: Keeper
    roots: Roots
    notes: Notes
    clock: Clock


@asynccontextmanager
async def room(lifetime: timedelta = timedelta(hours=1), **options: Any) -> AsyncIterator[Room]:
    """A keeper at work."""
    roots, notes, clock = Roots(), Notes(), Clock()
    source = authority(roots, lifetime)
    keeper = Keeper(source, clock, lambda: 0.5, notes, notes, **options)
    async with asyncio.TaskGroup() as tasks:
        work = [tasks.create_task(source.run()), tasks.create_task(keeper.run())]
        await source.known()
        yield Room(keeper, roots, notes, clock)
        for task in work:
            task.cancel()


def _own(stream: Stream) -> tuple[x509.Certificate, bytes, bytes]:
    """A stream's certificate, its chain and its key."""
    made: Any = Secret.FromString(stream.now["default"].body)
    chain, key = (
        made.tls_certificate.certificate_chain.inline_bytes,
        made.tls_certificate.private_key.inline_bytes,
    )
    return x509.load_pem_x509_certificate(chain), chain, key


def _failed(here: Room, times: int) -> bool:
    return here.notes.failed >= times


async def test_each_stream_has_a_key_of_its_own_and_a_certificate_of_its_identity() -> None:
    """Two streams, even of one identity, never share a key; each key fits its certificate; all trust the same roots."""
    async with room() as here:
        streams = {name: Stream() for name in ("alice", "alice again", "bob")}
        for name, stream in streams.items():
            here.keeper.open(BOB if name == "bob" else ALICE, stream)
        await eventually(lambda: all(stream.got for stream in streams.values()))
        keys = set()
        for name, stream in streams.items():
            certificate, _, key = _own(stream)
            proof = prove(certificate, TRUST_DOMAIN, certificate.not_valid_after_utc - timedelta(minutes=1))
            assert proof.identity == (BOB if name == "bob" else ALICE)
            public = load_pem_private_key(key, None).public_key()
            assert public.public_bytes(
                Encoding.DER, PublicFormat.SubjectPublicKeyInfo
            ) == certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            keys.add(key)
        assert len(keys) == 3
        assert len({stream.now["ROOTCA"].version for stream in streams.values()}) == 1
        assert here.notes.open == 3


async def test_a_certificate_is_renewed_at_half_of_its_life_and_the_roots_stay() -> None:
    """Not before; then a new key and certificate, under the same name, and the very same roots."""
    async with room(timedelta(minutes=10)) as here:
        stream = Stream()
        lease = here.keeper.open(ALICE, stream)
        await eventually(lambda: bool(stream.got))
        first = stream.now
        (own, root) = lease.status()
        assert own.renewal is not None
        assert timedelta(minutes=4) < own.renewal - (own.ends - timedelta(minutes=10)) < timedelta(minutes=6)
        assert (own.name, own.subject, root.name) == ("default", str(ALICE), "ROOTCA")
        assert own.fingerprint == first["default"].version
        here.clock.ahead += 5 * 60 + 1
        here.keeper.open(BOB, Stream())  # whatever wakes it
        await eventually(lambda: len(stream.got) == 2)
        assert stream.now["default"].version != first["default"].version
        assert stream.now["ROOTCA"] == first["ROOTCA"]
        assert lease.status()[0].fingerprint == stream.now["default"].version


async def test_credentials_are_shown_by_their_certificates() -> None:
    """Those that a stream may use, under the names by which proxies ask for them, with nothing of their keys."""
    material, _ = read_material({"tls.crt": CERT, "tls.key": PRIVATE, "ca.crt": AUTHORITY}, NOW)
    kept = Credential(CredentialName("shop", "edge"), CredentialKind.TLS, material, (), NOW, NOW, "alice")
    async with room(credentials=lambda *_: secrets_of(kept)) as here:
        stream = Stream()
        lease = here.keeper.open(ALICE, stream, gateway=True)
        assert lease.status() == ()
        await eventually(lambda: bool(stream.got))
        shown = lease.status()[2:]
        assert [each.name for each in shown] == ["kubernetes://edge", "kubernetes://edge-cacert"]
        assert shown[0].fingerprint == fingerprint(x509.load_pem_x509_certificate(CERT))
        assert PRIVATE.splitlines()[1].decode() not in repr(lease.status())


async def test_what_cannot_be_issued_is_tried_again_and_told_once() -> None:
    """The stream keeps what it has meanwhile; the log has one line when it begins and one when it is over."""
    async with room() as here:
        here.roots.broken = "the signer is away"
        stream = Stream()
        here.keeper.open(ALICE, stream)
        for failures in range(1, 4):
            await eventually(partial(_failed, here, failures))
            here.clock.ahead += 120
            here.keeper.open(BOB, Stream()).close()
        assert stream.got == []
        here.roots.broken = ""
        here.clock.ahead += 120
        here.keeper.open(BOB, Stream()).close()
        await eventually(lambda: bool(stream.got))
        told = [line for line in here.notes.lines if line[1]["identity"] == str(ALICE)]
        assert [event for event, _ in told] == [
            "certificate not issued; trying again",
            "certificate issued again",
        ]
        assert told[0][1]["why"] == "the signer is away"


async def test_a_root_that_is_only_trusted_renews_no_certificate() -> None:
    """Streams are told of it at once and keep what they have, as the same signs as before."""
    async with room() as here:
        stream = Stream()
        lease = here.keeper.open(ALICE, stream)
        await eventually(lambda: bool(stream.got))
        before, held = stream.now, lease.held()
        here.roots.trust()
        await eventually(lambda: stream.now["ROOTCA"] != before["ROOTCA"])
        here.clock.ahead += keeping.SPREAD
        other = Stream()
        here.keeper.open(BOB, other)
        await eventually(lambda: bool(other.got))
        assert stream.now["default"] == before["default"]
        now = lease.held()
        assert held is not None
        assert now is not None
        assert (now.leaf, now.trusts[:1]) == (held.leaf, held.trusts)
        assert len(now.trusts) == 2


async def test_what_another_root_signed_meanwhile_reaches_nobody() -> None:
    """A signature that takes its time is thrown away where somebody else signs when it comes."""
    async with room() as here:
        here.roots.signs.clear()
        stream = Stream()
        lease = here.keeper.open(ALICE, stream)
        await eventually(lambda: here.roots.signed == 1)
        here.roots.change()
        here.roots.signs.set()
        await eventually(lambda: bool(stream.got))
        held = lease.held()
        assert held is not None
        assert held.leaf == held.trusts[-1]
        own = [Secret.FromString(each["default"].body) for each in stream.got]
        chains = [each.tls_certificate.certificate_chain.inline_bytes for each in own]
        signed = {x509.load_pem_x509_certificate(chain).issuer for chain in chains}
        assert signed == {_own(stream)[0].issuer}


async def test_other_roots_reach_every_stream_and_certificates_follow() -> None:
    """Trust is told at once, and everybody is given a certificate of who signs now, within a window."""
    async with room() as here:
        streams = [Stream() for _ in range(5)]
        for stream in streams:
            here.keeper.open(ALICE, stream)
        await eventually(lambda: all(stream.got for stream in streams))
        before = [stream.now for stream in streams]
        here.roots.change()
        await eventually(
            lambda: all(
                stream.now["ROOTCA"] != old["ROOTCA"] for stream, old in zip(streams, before, strict=True)
            )
        )
        here.clock.ahead += keeping.SPREAD
        here.keeper.open(BOB, Stream())
        await eventually(
            lambda: all(
                stream.now["default"] != old["default"] for stream, old in zip(streams, before, strict=True)
            )
        )


async def test_lists_of_revoked_certificates_reach_every_stream() -> None:
    """A changed list is a changed secret ROOTCA and touches no certificate."""
    lists = [b""]
    async with room(revoked=lambda: lists[0]) as here:
        stream = Stream()
        here.keeper.open(ALICE, stream)
        await eventually(lambda: bool(stream.got))
        first = stream.now
        lists[0] = b"CRL"
        here.keeper.revocations_changed()
        await eventually(lambda: len(stream.got) == 2)
        assert b"CRL" in stream.now["ROOTCA"].body
        assert stream.now["default"] == first["default"]


async def test_nothing_is_kept_of_a_stream_that_is_over() -> None:
    """Its key is in no object any more, whether it was delivered already or is being made."""
    async with room() as here:
        stream = Stream()
        lease = here.keeper.open(ALICE, stream)
        await eventually(lambda: bool(stream.got))
        _, _, key = _own(stream)
        stream.got.clear()
        lease.close()
        unborn = Stream()
        here.keeper.open(ALICE, unborn).close()
        await eventually(lambda: here.notes.open == 0)
        assert living(lambda each: isinstance(each, Resource) and key in each.encoded) == []
        assert unborn.got == []


async def test_no_key_is_written_or_told_anywhere() -> None:
    """Neither what is logged nor how a lease prints holds any of it."""
    async with room() as here:
        stream = Stream()
        lease = here.keeper.open(ALICE, stream)
        await eventually(lambda: bool(stream.got))
        _, _, key = _own(stream)
        secret = key.splitlines()[1].decode()
        assert "PRIVATE KEY" not in repr(lease)
        assert secret not in repr(lease) + repr(stream.got) + repr(lease.status())
        assert secret not in json.dumps(here.notes.lines)


async def test_who_has_nothing_yet_comes_before_those_who_renew() -> None:
    """Though two hundred streams renew at once, a new one is served before the last of them."""
    async with room() as here:
        streams = [Stream() for _ in range(200)]
        for stream in streams:
            here.keeper.open(ALICE, stream)
        await eventually(lambda: all(stream.got for stream in streams))

        def renewed() -> int:
            return sum(len(stream.got) > 1 for stream in streams)

        here.clock.ahead += 1800
        here.keeper.look()
        await eventually(lambda: renewed() > 0, every=0.001)
        came_after: list[int] = []
        here.keeper.open(BOB, Stream(lambda: came_after.append(renewed())))
        await eventually(lambda: renewed() == len(streams))
        assert came_after[0] < len(streams)


class Unreadable:
    """Others of whom nothing can be told."""

    own_domains = (TRUST_DOMAIN,)

    def own(self) -> tuple[x509.Certificate, ...]:
        raise ValueError("it is of no form that is known")

    def foreign(self) -> dict[str, bytes]:
        return {}


async def test_what_others_bring_never_keeps_the_mesh_from_its_own_roots() -> None:
    """Should it not be readable, streams are given their own all the same, and it is told."""
    async with room(federated=Unreadable()) as here:
        stream = Stream()
        here.keeper.open(ALICE, stream)
        await eventually(lambda: bool(stream.got))
        assert set(stream.now) == {"default", "ROOTCA"}
        here.keeper.revocations_changed()
        await eventually(lambda: len(stream.got) > 1)
        assert "nobody is trusted beside the mesh's own authority" in {event for event, _ in here.notes.lines}


class Beside:
    """A further authority of the mesh's own domain, one of another, and a domain of which none is known."""

    own_domains = (TRUST_DOMAIN,)

    def own(self) -> tuple[x509.Certificate, ...]:
        return (x509.load_pem_x509_certificate(AUTHORITY),)

    def foreign(self) -> dict[str, bytes]:
        return {"their.example": CERT, "unknown.example": b""}


async def test_authorities_beside_the_meshs_own_are_shown() -> None:
    """Under the name of the roots, with the domain that each vouches for if that is another."""
    async with room(federated=Beside()) as here:
        stream = Stream()
        lease = here.keeper.open(ALICE, stream)
        await eventually(lambda: bool(stream.got))
        shown = lease.status()[1:]
        assert {each.name for each in shown} == {"ROOTCA"}
        assert [each.trust_domain for each in shown] == ["", "", "their.example"]
        assert shown[1].fingerprint == fingerprint(x509.load_pem_x509_certificate(AUTHORITY))
