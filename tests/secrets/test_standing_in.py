"""Certificates by which sidecars stand in for servers outside, by a real authority."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from cryptography import x509
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret

from tests.lab.eventually import eventually
from tests.secrets.authorities import Roots, authority
from tests.secrets.test_keeper import ALICE, BOB, Clock, Notes
from xdsd.model.identity import SpiffeID
from xdsd.model.inspected import SECRET, Inspected
from xdsd.secrets.standing_in import Inspector

BANK = Inspected(("bank.example.com",), (), ("alice",))


@dataclass(slots=True)
class Room:
    """An inspector at work, and the namespaces that it told of."""

    inspector: Inspector
    roots: Roots
    clock: Clock
    notes: Notes
    told: list[Iterable[str] | None] = field(default_factory=list)

    def names(self, identity: SpiffeID) -> list[str]:
        """The hosts of its certificate; none without one."""
        given = self.inspector.given(identity)
        if not given:
            return []
        (resource,) = given
        assert resource.name == SECRET
        found = certificate(resource.body).extensions.get_extension_for_class(x509.SubjectAlternativeName)
        assert found.value.get_values_for_type(x509.UniformResourceIdentifier) == [str(identity)]
        names: list[str] = found.value.get_values_for_type(x509.DNSName)
        return names


def certificate(body: bytes) -> x509.Certificate:
    made: Any = Secret.FromString(body)
    return x509.load_pem_x509_certificate(made.tls_certificate.certificate_chain.inline_bytes)


@asynccontextmanager
async def room(lifetime: timedelta = timedelta(hours=1)) -> AsyncIterator[Room]:
    roots, notes, clock = Roots(), Notes(), Clock()
    source = authority(roots, lifetime)
    told: list[Iterable[str] | None] = []
    inspector = Inspector(source, clock, lambda: 0.5, notes, told.append)
    async with asyncio.TaskGroup() as tasks:
        work = [tasks.create_task(source.run()), tasks.create_task(inspector.run())]
        await source.known()
        yield Room(inspector, roots, clock, notes, told)
        for task in work:
            task.cancel()


async def test_who_is_inspected_gets_a_certificate_of_all_its_hosts() -> None:
    """With its identity, soon after it is asked for, and it is told; whoever is not inspected has none."""
    async with room() as here:
        here.inspector.inspect((BANK, Inspected(("docs.example.com",))))
        assert here.told == [None]
        assert here.inspector.given(ALICE) == ()
        await eventually(lambda: here.names(ALICE) == ["bank.example.com", "docs.example.com"])
        assert {ALICE.namespace} in here.told
        here.inspector.inspect((BANK,))
        await eventually(lambda: here.names(ALICE) == ["bank.example.com"])
        assert here.inspector.given(BOB) == ()
        here.inspector.inspect(())
        assert here.inspector.given(ALICE) == ()


async def test_it_is_renewed_half_way_and_whenever_somebody_else_signs() -> None:
    """Each renewal has a key and a certificate of its own."""
    async with room() as here:
        here.inspector.inspect((BANK,))
        await eventually(lambda: here.names(ALICE) != [])
        (first,) = here.inspector.given(ALICE)
        here.clock.ahead = 3600 * 0.6
        here.inspector.look()
        await eventually(lambda: here.inspector.given(ALICE) != (first,))
        (second,) = here.inspector.given(ALICE)
        assert certificate(first.body).public_key() != certificate(second.body).public_key()
        here.roots.change()
        await eventually(lambda: here.inspector.given(ALICE) != (second,))


async def test_nothing_is_kept_of_an_identity_without_streams() -> None:
    """Its certificate is forgotten whoever else is there, so that none is made for who is gone; the next stream has one."""
    async with room() as here:
        here.inspector.inspect((BANK,))
        await eventually(lambda: here.names(ALICE) != [])
        here.inspector.release(ALICE, [(ALICE, True), (BOB, False)])
        assert here.names(ALICE) != []
        here.inspector.release(ALICE, [(BOB, False)])
        assert here.inspector.given(ALICE) == ()
        await eventually(lambda: here.names(ALICE) != [])
