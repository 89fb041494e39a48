"""Authorities on a store that they share, and on files."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from cryptography import x509
from structlog.testing import capture_logs

from storage.base import Store
from tests.ca.making import NOW, REVIEWS, intermediate, organisation, root
from tests.lab.eventually import eventually
from xdsd.ca.authority import Authority, CaError, Source, signing_request
from xdsd.ca.checking import prove
from xdsd.ca.crl import Revoked
from xdsd.ca.files import CaFiles, FileCa
from xdsd.ca.issuer import Ca, CannotIssue, bundle
from xdsd.ca.keys import new_key, private_pem
from xdsd.ca.reading import read_certificates, read_key, read_request
from xdsd.ca.roots import RootState, decode, encode
from xdsd.ca.sealing import Sealer
from xdsd.ca.stored import ROOTS, StoredRoots
from xdsd.model.identity import SpiffeID
from xdsd.model.key_type import KeyType

DOMAIN = REVIEWS.trust_domain
KEY = b"k" * 32
LIFETIME = timedelta(hours=1)


def stored(
    store: Store, *, key: bytes = KEY, domain: str = DOMAIN, kind: KeyType = KeyType.ECDSA_P256
) -> StoredRoots:
    """The source in a store."""
    return StoredRoots(store, Sealer(key), domain, kind, structlog.get_logger())


@asynccontextmanager
async def running(
    source: Source, *, now: Callable[[], datetime] | None = None, domain: str = DOMAIN
) -> AsyncIterator[Authority]:
    """An authority that knows its CA."""
    authority = Authority(source, domain, LIFETIME, now)
    task = asyncio.create_task(authority.run())
    try:
        known = asyncio.create_task(authority.known())
        await asyncio.wait({task, known}, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        known.cancel()
        if task.done():
            task.result()
        assert authority.is_known
        yield authority
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_first_start_makes_a_root(store: Store) -> None:
    """On an empty store a root is made that issues, and its certificates lead to the bundle."""
    async with running(stored(store)) as authority:
        made = await authority.credential(REVIEWS)
        assert authority.bundle == bundle(authority.roots)
        made.svid.certificate.verify_directly_issued_by(authority.roots[0])
        assert prove(made.svid.certificate, DOMAIN, datetime.now(UTC)).identity == REVIEWS
        certificate = x509.load_pem_x509_certificate(made.svid.chain)
        assert read_key(made.key, "it").public_key() == certificate.public_key()


async def test_daemons_that_start_at_once_share_one_root(any_store: Store) -> None:
    """Of several daemons on an empty store one makes the root, and all have it."""
    with capture_logs() as logs:
        async with (
            running(stored(any_store)) as one,
            running(stored(any_store)) as other,
            running(stored(any_store)) as third,
        ):
            assert one.bundle == other.bundle == third.bundle
            assert len(one.roots) == 1
    sources = [stored(any_store) for _ in range(4)]
    await asyncio.gather(
        *(source._found() for source in sources)
    )  # all at the same time, on a store that has a root
    assert len([each for each in logs if each["event"] == "a CA is made"]) == 1
    async with running(stored(any_store)) as late:
        assert late.bundle == one.bundle


async def test_the_root_outlives_the_daemon(store: Store) -> None:
    """A daemon that starts again issues from the same root."""
    async with running(stored(store)) as before:
        pass
    async with running(stored(store)) as after:
        assert after.bundle == before.bundle


async def test_the_key_is_sealed_in_the_store(store: Store) -> None:
    """Nothing that the store holds has the key, in any form that a key has."""
    async with running(stored(store)):
        found = await store.range(b"\0", b"\0")
    text = b"".join(kv.value for kv in found.kvs)
    assert b"xdsd1:" in text
    assert b"PRIVATE" not in text


async def test_another_sealing_key_is_refused_at_the_start(store: Store) -> None:
    """A daemon with another sealing key does not begin, and makes no root beside the one that is there."""
    async with running(stored(store)):
        before = await store.get(ROOTS)
    with pytest.raises(CaError, match="needs the sealing key"):
        async with running(stored(store, key=b"o" * 32)):
            pass
    assert await store.get(ROOTS) == before


async def test_another_trust_domain_is_refused_at_the_start(store: Store) -> None:
    """A daemon whose trust domain is not the root's does not begin, and says what to set."""
    async with running(stored(store)):
        pass
    with pytest.raises(CaError, match="set trust-domain"):
        async with running(stored(store, domain="other.example"), domain="other.example"):
            pass


async def test_every_daemon_follows_a_new_root(any_store: Store) -> None:
    """When a root is added and begins to issue, all daemons trust it and then sign with it."""
    async with running(stored(any_store)) as one, running(stored(any_store)) as other:
        first = one.bundle
        kept = await any_store.get(ROOTS)
        assert kept is not None
        _, fresh = await stored(any_store).root()
        roots = decode(kept.value).trust(fresh)
        await any_store.put(ROOTS, encode(roots))
        await eventually(lambda: len(one.roots) == len(other.roots) == 2, "both trust it")
        assert one.bundle.startswith(first)
        (await one.credential(REVIEWS)).svid.certificate.verify_directly_issued_by(one.roots[0])
        await any_store.put(ROOTS, encode(roots.switch(fresh.id)))
        for each in (one, other):

            async def signed_by_it(authority: Authority = each) -> bool:
                made = await authority.credential(REVIEWS)
                return made.svid.certificate.issuer == fresh.certificate.subject

            await eventually(signed_by_it, "signs with it")
        assert decode(encode(roots.switch(fresh.id))).roots[0].state is RootState.RETIRING


async def test_what_spoils_the_roots_changes_nothing(store: Store) -> None:
    """Roots that become unreadable, or are gone, leave those that were known; the log says so without a secret."""
    async with running(stored(store)) as authority:
        before = authority.bundle
        with capture_logs() as logs:
            await store.put(ROOTS, b'{"roots":[{"sealed":"hidden"}]}')
            await eventually(lambda: any("roots are as" in str(each["event"]) for each in logs))
            await store.delete(ROOTS)
            await eventually(lambda: any("gone" in str(each["event"]) for each in logs))
        assert authority.bundle == before
        assert "hidden" not in str(logs)
        await authority.credential(REVIEWS)


async def test_a_change_is_told(store: Store) -> None:
    """Whoever waits for the next change hears of a new root."""
    async with running(stored(store)) as authority:
        change = authority.next_change
        kept = await store.get(ROOTS)
        assert kept is not None
        _, fresh = await stored(store).root()
        await store.put(ROOTS, encode(decode(kept.value).trust(fresh)))
        async with asyncio.timeout(60):
            await change.wait()
        assert len(authority.roots) == 2


async def test_lists_of_revoked_are_of_every_root(store: Store) -> None:
    """There is a list of each root whose key is here, so that whatever signed a certificate can say it is revoked."""
    async with running(stored(store)) as authority:
        lists = authority.crls([Revoked(5, datetime.now(UTC))], 1, LIFETIME)
        (found,) = [x509.load_pem_x509_crl(each) for each in lists]
        assert found.get_revoked_certificate_by_serial_number(5) is not None
        assert found.is_signature_valid(authority.roots[0].public_key())  # type: ignore[arg-type]  # a kind that signs


async def test_nothing_is_issued_beyond_the_trust_domain_or_the_lifetime(store: Store) -> None:
    """An identity of another trust domain gets nothing, and nobody gets more than the lifetime that is set."""
    async with running(stored(store)) as authority:
        with pytest.raises(CannotIssue, match="trust domain"):
            await authority.credential(SpiffeID("b.example", "default", "a"))
        made = await authority.credential(REVIEWS, timedelta(days=300))
        assert made.svid.expires <= datetime.now(UTC) + LIFETIME


async def test_nothing_is_issued_before_the_ca_is_known(store: Store) -> None:
    """An authority that does not know its CA yet says so."""
    authority = Authority(stored(store), DOMAIN, LIFETIME)
    assert authority.bundle == b""
    with pytest.raises(CannotIssue, match="not known yet"):
        await authority.credential(REVIEWS)


async def test_rsa_by_setting(store: Store) -> None:
    """A root of another kind of key is made where that is wanted."""
    async with running(stored(store, kind=KeyType.RSA_2048)) as authority:
        (await authority.credential(REVIEWS)).svid.certificate.verify_directly_issued_by(authority.roots[0])


async def test_no_secret_is_in_a_representation_or_a_log(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a credential nor an authority shows its keys, wherever it is printed."""
    caplog.set_level(logging.DEBUG)
    with capture_logs() as logs:
        async with running(stored(store)) as authority:
            made = await authority.credential(REVIEWS)
            shown = f"{made!r}{authority!r}{authority._trust!r}{logs}{caplog.text}"
    assert "PRIVATE" not in shown
    assert made.key.decode().splitlines()[1] not in shown


def written(folder: Path, ca: Ca, *, roots: bytes | None = None) -> CaFiles:
    """A CA in files."""
    (folder / "ca.pem").write_bytes(b"".join(bundle([each]) for each in ca.chain))
    (folder / "ca.key").write_bytes(private_pem(ca.key))
    if roots is not None:
        (folder / "root.pem").write_bytes(roots)
    return CaFiles(folder / "ca.pem", folder / "ca.key", folder / "root.pem" if roots is not None else None)


def from_files(files: CaFiles) -> FileCa:
    """The source in files, looked at often."""
    return FileCa(files, DOMAIN, structlog.get_logger(), lambda: NOW, every=0.02)


async def test_an_intermediate_from_files_issues(tmp_path: Path) -> None:
    """A CA in files signs, its certificates carry it, and the bundle is its root alone."""
    top = organisation()
    ca = intermediate(top)
    async with running(from_files(written(tmp_path, ca)), now=lambda: NOW) as authority:
        made = await authority.credential(REVIEWS)
        assert read_certificates(made.svid.chain, "it") == (made.svid.certificate, ca.certificate)
        assert authority.roots == top.chain


async def test_a_root_of_its_own_file_is_trusted(tmp_path: Path) -> None:
    """Roots may stand in a file of their own, more than one of them."""
    top, other = organisation(), root()
    ca = intermediate(top)
    files = written(tmp_path, Ca(ca.chain[:1], ca.key), roots=bundle([*top.chain, *other.chain]))
    async with running(from_files(files), now=lambda: NOW) as authority:
        assert authority.roots == (*top.chain, *other.chain)


async def test_replaced_files_are_taken(tmp_path: Path) -> None:
    """When the files are replaced the new CA signs; a half of it, or one that does not fit, changes nothing."""
    top = organisation()
    first, second = intermediate(top, name="first"), intermediate(top, name="second")
    async with running(from_files(written(tmp_path, first)), now=lambda: NOW) as authority:

        async def signer() -> str:
            made = await authority.credential(REVIEWS)
            return made.svid.certificate.issuer.rfc4514_string()

        assert await signer() == "CN=first"
        with capture_logs() as logs:
            (tmp_path / "ca.pem").write_bytes(bundle(second.chain))
            await eventually(lambda: any("before its files changed" in each.get("why", "") for each in logs))
            assert await signer() == "CN=first"
            assert "PRIVATE" not in str(logs)
        written(tmp_path, second)

        async def changed() -> bool:
            return await signer() == "CN=second"

        await eventually(changed, "the new CA signs")


async def test_why_files_are_not_used_is_reported(tmp_path: Path) -> None:
    """Files that went, or that are no CA, are reported once each, and that they are back is too."""
    reports: list[str] = []
    files = written(tmp_path, intermediate(organisation()))
    source = FileCa(files, DOMAIN, structlog.get_logger(), lambda: NOW, every=0.02, report=reports.append)
    async with running(source, now=lambda: NOW) as authority:
        key = files.key.read_bytes()
        files.key.unlink()
        await eventually(lambda: len(reports) == 1)
        assert "before its files went: " in reports[0]
        assert f"{files.key} cannot be read: no such file" in reports[0]
        files.key.write_bytes(b"x")
        await eventually(lambda: len(reports) == 2)
        assert "before its files changed: " in reports[1]
        files.key.write_bytes(key)
        await eventually(lambda: len(reports) == 3)
        assert not reports[2]
        assert await authority.credential(REVIEWS)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda folder: (folder / "ca.key").unlink(), "ca.key cannot be read: no such file"),
        (
            lambda folder: (folder / "ca.key").write_bytes(private_pem(new_key())),
            "the key is of another certificate",
        ),
        (lambda folder: (folder / "ca.pem").write_bytes(b"x"), "holds no certificates"),
        (lambda folder: (folder / "ca.key").write_bytes(b"x" * (1 << 21)), "at most"),
        (
            lambda folder: (folder / "ca.pem").write_bytes(bundle(intermediate(root()).chain[:1])),
            "set ca-root",
        ),
    ],
)
async def test_files_that_are_no_ca_are_refused(
    spoil: Callable[[Path], object], why: str, tmp_path: Path
) -> None:
    """What is wrong with the files is said at the start, by their names and settings."""
    files = written(tmp_path, intermediate(organisation()))
    spoil(tmp_path)
    with pytest.raises(CaError, match=why):
        async with running(from_files(files), now=lambda: NOW):
            pass


def test_a_signing_request_is_read_by_our_own_reader() -> None:
    """What is sent to a signer elsewhere is a request like any other."""
    key = new_key()
    assert read_request(signing_request(key, REVIEWS)) == key.public_key()
