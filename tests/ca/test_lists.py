"""Lists of revoked certificates: given for every issuer, or not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from storage.base import Store
from tests.ca.making import DAY, NOW, REVIEWS, intermediate, issued, organisation, root
from tests.lab.eventually import eventually
from xdsd.ca.authority import Authority
from xdsd.ca.crl import Revoked, make_crl
from xdsd.ca.files import CaFiles, FileCa
from xdsd.ca.issuer import Ca, bundle
from xdsd.ca.listing import Listing, Lists, lists_now
from xdsd.ca.lists import InvalidList, KeptList, decode, encode, given_lists, serials_of
from xdsd.ca.revocations import Revocation
from xdsd.ca.revoked import Revocations

ONE, OTHER = root(), root()
YEARS = timedelta(days=3650)


def crl(ca: Ca, *serials: int, made: datetime = NOW, lifetime: timedelta = YEARS) -> bytes:
    """A list that names these."""
    return make_crl(ca, [Revoked(serial, made) for serial in serials], 1, made, lifetime)


def test_lists_are_given_for_every_issuer() -> None:
    """All of them together, each once, the newest of an issuer."""
    first, newer, other = crl(ONE, lifetime=DAY), crl(ONE, 5), crl(OTHER)
    told = given_lists([ONE.certificate, OTHER.certificate], [first, other, newer, newer], NOW)
    assert told.pem == newer + other
    assert told.why == ""
    assert told.until is not None
    assert told.until > NOW + YEARS - DAY


@pytest.mark.parametrize(
    ("lists", "why"),
    [
        ([], "is not known"),
        ([crl(OTHER)], "is not known"),
        ([crl(Ca(ONE.chain, OTHER.key))], "is not known"),
        ([crl(ONE, made=NOW - 2 * DAY, lifetime=DAY)], "has expired"),
        ([crl(ONE, lifetime=timedelta(minutes=1))], "has expired"),
        ([crl(ONE)[:-60]], "is not known"),
        ([b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"], "is not known"),
        ([b""], "is not known"),
    ],
)
def test_where_one_is_missing_none_is_given(lists: list[bytes], why: str) -> None:
    """A list that is absent, malformed, another's, forged or expired shuts nobody out who is not revoked."""
    told = given_lists([OTHER.certificate, ONE.certificate], [crl(OTHER), *lists], NOW)
    assert told.pem == b""
    assert why in told.why


def test_an_issuer_that_may_not_sign_lists_has_none() -> None:
    """Proxies would believe none of its certificates by such a list."""
    usage = x509.KeyUsage(False, False, False, False, False, True, False, False, False)
    below = intermediate(organisation(), usage=None, others=(usage,))
    assert "lacks cRLSign" in given_lists([below.certificate], [crl(below)], NOW).why


def test_reading_is_the_inverse_of_keeping() -> None:
    """A list is kept with its issuer."""
    kept = KeptList(ONE.certificate, crl(ONE, 3), NOW)
    assert decode(encode(kept)) == kept
    assert serials_of(kept.pem) == {3}


@given(st.binary(max_size=120))
def test_what_is_kept_of_none_is_refused(value: bytes) -> None:
    """Anything but what was kept raises InvalidList and nothing else; anything but a list names nothing."""
    with pytest.raises(InvalidList):
        decode(value)
    assert serials_of(value) == frozenset()


def files(folder: Path, ca: Ca) -> CaFiles:
    """A CA in files."""
    folder.mkdir(exist_ok=True)
    (folder / "ca.pem").write_bytes(bundle(ca.chain))
    key = ca.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "ca.key").write_bytes(key)
    return CaFiles(folder / "ca.pem", folder / "ca.key")


@asynccontextmanager
async def daemon(store: Store, folder: Path, ca: Ca) -> AsyncIterator[tuple[Authority, Revocations, Lists]]:
    """One whose intermediate is in files."""
    log = structlog.get_logger()
    source = FileCa(files(folder, ca), "cluster.local", log, lambda: NOW)
    authority = Authority(source, "cluster.local", DAY, lambda: NOW)
    revocations, lists = Revocations(store, log), Lists(store, log)
    listing = Listing(authority, revocations, lists, log)
    jobs = (authority.run(), revocations.run(), lists.run(), listing.run())
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        async with asyncio.timeout(60):
            await asyncio.gather(authority.known(), revocations.known(), lists.known())
        yield authority, revocations, lists
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_an_intermediate_issued_is_believed_after_it_was_replaced(
    any_store: Store, tmp_path: Path
) -> None:
    """A daemon with other files gives the list of the old issuer too, which the store has from when nothing was revoked yet;
    without it proxies would believe nobody whom it vouches for.
    """
    above = organisation()
    old, new = intermediate(above, name="old"), intermediate(above, name="new")
    async with daemon(any_store, tmp_path / "a", old) as (_, _, lists):
        await eventually(lambda: len(lists.all()) == 1, "the list is kept")
        assert serials_of(lists.all()[0].pem) == frozenset()
    async with AsyncExitStack() as stack:
        authority, revocations, lists = await stack.enter_async_context(
            daemon(any_store, tmp_path / "b", new)
        )
        stolen = issued(new).certificate.serial_number
        assert lists_now(authority, revocations, lists.all()).pem == b""
        await revocations.add(Revocation(NOW, NOW + DAY, serial=stolen))
        told = lists_now(authority, revocations, lists.all())
        found = [x509.load_pem_x509_crl(each + b"-----END X509 CRL-----\n") for each in _parts(told.pem)]
        assert {each.issuer for each in found} == {old.certificate.subject, new.certificate.subject}
        assert [len(each) for each in found if each.issuer == new.certificate.subject] == [1]


async def test_a_list_is_kept_for_as_long_as_any_certificate_lives(store: Store, tmp_path: Path) -> None:
    """Also where certificates live shorter now than they did; and it is not written at each look."""
    ca, log = intermediate(organisation()), structlog.get_logger()
    longest = [NOW + 90 * DAY]

    async def told() -> datetime | None:
        return longest[0]

    async with daemon(store, tmp_path / "a", ca) as (authority, revocations, lists):
        listing = Listing(authority, revocations, lists, log, longest=told)
        await eventually(lambda: len(lists.all()) == 1, "the list is kept")
        await listing._keep()
        assert lists.all()[0].until >= longest[0]
        before = await store.revision()
        await listing._keep()
        assert await store.revision() == before
        longest[0] = NOW + 400 * DAY
        await listing._keep()
        assert lists.all()[0].until >= longest[0]


async def test_peers_of_further_authorities_are_not_turned_away(store: Store, tmp_path: Path) -> None:
    """Of an authority beside ours no list is known, so none are given while there is one, and the log says why."""
    ours, theirs, log = intermediate(organisation()), organisation().certificate, structlog.get_logger()
    further: list[x509.Certificate] = [theirs]
    async with daemon(store, tmp_path / "a", ours) as (authority, revocations, lists):
        listing = Listing(authority, revocations, lists, log, further=lambda: further)
        with capture_logs() as logs:
            assert listing.given() == b""
            assert (listing.why_none(), logs) == ("", [])
            await revocations.add(Revocation(NOW, NOW + DAY, identity=REVIEWS, serials=(7, 8)))
            assert listing.given() == b""
        assert [line["why"] for line in logs if "given no lists" in str(line["event"])] == [
            f"the list of {theirs.subject.rfc4514_string()} is not known"
        ]
        assert listing.why_none() == f"the list of {theirs.subject.rfc4514_string()} is not known"
        further[:] = [ours.certificate]
        assert listing.why_none() == ""
        assert serials_of(listing.given()) == {7, 8}
        further.clear()
        assert serials_of(listing.given()) == {7, 8}


def _parts(data: bytes) -> list[bytes]:
    return data.split(b"-----END X509 CRL-----\n")[:-1]


async def test_an_identitys_own_certificates_are_named(any_store: Store, tmp_path: Path) -> None:
    """By the list of the CA that is there now."""
    async with daemon(any_store, tmp_path / "a", intermediate(organisation())) as (
        authority,
        revocations,
        lists,
    ):
        await revocations.add(Revocation(NOW, NOW + DAY, identity=REVIEWS, serials=(7, 8)))
        assert serials_of(lists_now(authority, revocations, lists.all()).pem) == {7, 8}
