"""An etcd that wants to know who we are, and of which we want to know that it is the right one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from storage.base import Denied, Put, StorageError, Unavailable
from storage.etcd import EtcdSettings, EtcdStore, EtcdTlsFiles, open_etcd
from tests.contracts.store import take
from tests.lab.certificates import Authority, Pair
from tests.lab.etcd import EtcdCluster, EtcdServer, Files, store_on
from tests.lab.eventually import eventually

pytestmark = pytest.mark.e2e

KEY = b"/xdsd/key"
PROBE = b"/xdsd/"
HOST = "127.0.0.1"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


@pytest.fixture
def server(authority: Authority) -> Pair:
    return authority.issue("server", f"IP:{HOST}")


@pytest.fixture
def client(authority: Authority) -> Pair:
    return authority.issue("client")


async def why(etcd: EtcdServer, tls: EtcdTlsFiles | None) -> str:
    """What a call says that does not get through, once etcd listens, and has had the time to say no."""

    async def failure() -> str:
        store = await open_etcd(EtcdSettings(((HOST, etcd.port),), tls=tls, deadline=0.5))
        try:
            await store.get(KEY)
        except Unavailable as error:
            said = str(error)
            return "" if "refused" in said or "it does not answer" in said else said
        finally:
            await store.close()
        raise AssertionError("it got through")

    return await eventually(failure, "etcd listens")


@pytest.mark.parametrize(
    ("ca", "cert", "says"),
    [
        ("other", "client", "its certificate comes from no CA that is trusted here; check store-ca"),
        ("ca", "", "it does not take our client certificate, or wants one; check store-cert and store-key"),
        (
            "ca",
            "other",
            "it does not take our client certificate, or wants one; check store-cert and store-key",
        ),
        (
            "ca",
            "old",
            "it does not take our client certificate, or wants one; check store-cert and store-key",
        ),
        ("", "", "it ends the connection at once; if it speaks TLS, set store-ca"),
    ],
)
async def test_our_side_of_tls(
    tmp_path: Path, authority: Authority, server: Pair, client: Pair, ca: str, cert: str, says: str
) -> None:
    """What is wrong with the certificates that we were given is said in a sentence, with the endpoint and the setting."""
    other = Authority(tmp_path / "other", "other CA")
    pairs = {"client": client, "other": other.issue("client"), "old": authority.issue("old", expired=True)}
    trusted = {"ca": authority.cert, "other": other.cert}.get(ca)
    pair = pairs.get(cert)
    files = EtcdTlsFiles(trusted, pair.cert, pair.key) if pair else EtcdTlsFiles(trusted)
    tls = Files(authority.cert, server.cert, server.key, client.cert, client.key)
    async with EtcdServer(tmp_path, tls=tls) as etcd:
        assert await why(etcd, files if ca else None) == f"no etcd answers: {HOST}:{etcd.port}: {says}"


@pytest.mark.parametrize(
    ("names", "expired", "says"),
    [
        (
            f"IP:{HOST}",
            True,
            "its certificate has expired; let etcd have a new one, or set this machine's clock",
        ),
        (
            "DNS:etcd.example.org",
            False,
            "its certificate is for another name; check the name in store, or etcd's",
        ),
    ],
)
async def test_their_side_of_tls(
    tmp_path: Path, authority: Authority, client: Pair, names: str, expired: bool, says: str
) -> None:
    """What is wrong with etcd's own certificate is said in the same way."""
    pair = authority.issue("bad", names, expired=expired)
    etcd = EtcdServer(tmp_path, tls=Files(authority.cert, pair.cert, pair.key, client.cert, client.key))
    await etcd.start(wait=False)
    try:
        found = await why(etcd, EtcdTlsFiles(authority.cert, client.cert, client.key))
        assert found == f"no etcd answers: {HOST}:{etcd.port}: {says}"
    finally:
        await etcd.stop()


async def test_tls_to_an_etcd_without(tmp_path: Path, authority: Authority) -> None:
    """An etcd that speaks plaintext is told from one that is gone."""
    async with EtcdServer(tmp_path) as etcd:
        assert "if it speaks plaintext, leave out store-ca" in await why(etcd, EtcdTlsFiles(authority.cert))


async def test_files_that_are_no_certificates(tmp_path: Path, authority: Authority, client: Pair) -> None:
    """Files that cannot be used are Denied at once, by their names and settings."""
    other = authority.issue("another")
    garbage, missing = tmp_path / "garbage", tmp_path / "missing"
    garbage.write_text("no certificate")
    for files, says in (
        (EtcdTlsFiles(garbage), f"{garbage} holds no certificates in PEM; check store-ca"),
        (EtcdTlsFiles(missing), f"{missing} cannot be read: no such file or directory"),
        (
            EtcdTlsFiles(authority.cert, garbage, client.key),
            f"{garbage} and {client.key} are no certificate and key in PEM; check store-cert and store-key",
        ),
        (
            EtcdTlsFiles(authority.cert, client.cert, other.key),
            f"{other.key} is not the key of the certificate {client.cert}; check store-cert and store-key",
        ),
    ):
        with pytest.raises(Denied) as caught:
            await open_etcd(EtcdSettings(((HOST, 1),), tls=files))
        assert str(caught.value) == says


async def test_certificates_that_are_replaced(tmp_path: Path, authority: Authority, server: Pair) -> None:
    """A store whose files were replaced, and an etcd that trusts only the new ones, find each other without a restart."""
    pair = authority.issue("client")
    files = EtcdTlsFiles(tmp_path / "ours-ca.pem", tmp_path / "ours.pem", tmp_path / "ours.key")
    install(files, authority, pair)
    tls = Files(authority.cert, server.cert, server.key, pair.cert, pair.key)
    settings = None
    async with EtcdServer(tmp_path, tls=tls) as etcd:
        settings = EtcdSettings(((HOST, etcd.port),), tls=files, deadline=2.0, patience=60.0)
        store = await open_etcd(settings)
        try:
            first = await eventually(lambda: put(store), "the store is reached")
            watch = store.watch(KEY, start_revision=first + 1)
            told = asyncio.create_task(take(watch, 1))
            await etcd.stop()
            renewed = Authority(tmp_path / "renewed", "renewed CA")
            ours, theirs = renewed.issue("client"), renewed.issue("server", f"IP:{HOST}")
            etcd.tls = Files(renewed.cert, theirs.cert, theirs.key, ours.cert, ours.key)
            etcd.join([etcd])
            await etcd.start()

            async def refused() -> None:
                with pytest.raises(Unavailable) as caught:
                    await store.put(KEY, b"2")
                assert "store-" in str(caught.value)

            await eventually(refused, "the old certificates are refused, and that is said")
            install(files, renewed, ours)
            revision = await eventually(lambda: put(store), "the store is reached")
            assert (await told)[0].revision <= revision
            await watch.close()
        finally:
            await store.close()


def install(files: EtcdTlsFiles, authority: Authority, pair: Pair) -> None:
    """Puts certificates where a store looks for its own."""
    for source, target in zip(
        (authority.cert, pair.cert, pair.key), (files.ca, files.cert, files.key), strict=True
    ):
        assert target is not None
        target.write_bytes(source.read_bytes())


async def put(store: EtcdStore, key: bytes = KEY) -> int:
    """The revision of a write; 0 while it cannot be done."""
    try:
        return await store.put(key, b"written")
    except StorageError:
        return 0


ADMIN = ("--user", "root:secret")


async def guarded(etcd: EtcdServer, *rights: tuple[str, str, str]) -> None:
    """Lets nobody in but root, and users of the password ``secret`` who may do so much (readwrite, read) below a prefix."""
    await etcd.etcdctl("user", "add", "root:secret")
    await etcd.etcdctl("user", "grant-role", "root", "root")
    for user, right, prefix in rights:
        await etcd.etcdctl("user", "add", f"{user}:secret")
        await etcd.etcdctl("role", "add", user)
        await etcd.etcdctl("role", "grant-permission", user, "--prefix", right, prefix)
        await etcd.etcdctl("user", "grant-role", user, user)
    await etcd.etcdctl("auth", "enable")


@pytest.fixture
async def etcd(tmp_path: Path) -> AsyncIterator[EtcdServer]:
    """One whose tokens last a second, with users who may do all, only read, or nothing of ours."""
    async with EtcdServer(tmp_path, flags=("--auth-token-ttl", "1")) as etcd:
        await guarded(
            etcd,
            ("xdsd", "readwrite", "/xdsd/"),
            ("reader", "read", "/xdsd/"),
            ("other", "readwrite", "/other/"),
        )
        yield etcd


@pytest.mark.parametrize(
    ("user", "password", "says"),
    [
        (
            "xdsd",
            "wrong",
            "etcd does not know the user or the password; check store-user and store-password-file",
        ),
        (
            "nobody",
            "secret",
            "etcd does not know the user or the password; check store-user and store-password-file",
        ),
        ("", "", "etcd wants a user; set store-user and store-password-file"),
    ],
)
async def test_credentials_that_are_wrong(etcd: EtcdServer, user: str, password: str, says: str) -> None:
    """A wrong user or password, or none, is Denied at once, with the settings that say it, and never the password."""
    with pytest.raises(Denied) as caught:
        await open_etcd(etcd.settings(user=user, password=password, probe=PROBE))
    assert str(caught.value) == says


async def test_tokens_that_end(etcd: EtcdServer) -> None:
    """A token that ended is renewed without a word, for calls, for watches that run, and for those that begin."""
    async with etcd.store(user="xdsd", password="secret", probe=PROBE) as store:
        watch = store.watch(KEY, start_revision=await store.put(KEY, b"0") + 1)
        told = asyncio.create_task(take(watch, 2))
        await idle(3.0)
        later = store.watch(KEY, start_revision=await newest(etcd) + 1)
        told_later = asyncio.create_task(take(later, 1))
        await idle(0.5)
        first = await store.put(KEY, b"1")
        assert [batch.revision for batch in await told_later] == [first]
        await idle(3.0)
        second = (await store.txn((), [Put(KEY, b"2")])).revision
        assert [batch.revision for batch in await told] == [first, second]
        await watch.close()
        await later.close()


async def idle(seconds: float) -> None:
    """Returns when so much time has passed: tokens end by the clock alone."""
    until = asyncio.get_running_loop().time() + seconds
    await eventually(lambda: asyncio.get_running_loop().time() > until)


async def newest(etcd: EtcdServer) -> int:
    """The revision, asked by somebody else."""
    async with etcd.store(user="root", password="secret") as store:
        return await store.revision()


async def test_tokens_that_a_restart_forgot(etcd: EtcdServer) -> None:
    """An etcd that was killed knows no token any more; calls and watches go on when it is back."""
    async with etcd.store(user="xdsd", password="secret", probe=PROBE, patience=60.0) as store:
        watch = store.watch(KEY, start_revision=await store.put(KEY, b"0") + 1)
        told = asyncio.create_task(take(watch, 1))
        await etcd.kill()
        await etcd.program.start()
        revision = await eventually(lambda: put(store), "etcd answers")
        assert [batch.revision for batch in await told] == [revision]
        await watch.close()


Use = Callable[[EtcdStore], Awaitable[object]]


async def watched(store: EtcdStore) -> object:
    """The first that a watch tells."""
    watch = store.watch(KEY, start_revision=1)
    try:
        return await take(watch, 1)
    finally:
        await watch.close()


READS: tuple[Use, ...] = (
    lambda store: store.get(KEY),
    lambda store: store.range(b"/xdsd/", b"/xdsd0"),
    watched,
)
WRITES: tuple[Use, ...] = (
    lambda store: store.put(KEY, b"1"),
    lambda store: store.delete(KEY),
    lambda store: store.txn((), [Put(KEY, b"1")]),
)


async def test_rights_that_are_missing(etcd: EtcdServer) -> None:
    """What our user may not do is Denied with the range that it needs rights on, be it a call or a watch."""
    says = "etcd does not let our user do that; grant it readwrite on the prefix /xdsd/"
    async with etcd.store(user="reader", password="secret", probe=PROBE) as store:
        await store.range(b"/xdsd/", b"/xdsd0")
        for use in WRITES:
            with pytest.raises(Denied) as caught:
                await use(store)
            assert str(caught.value) == says
    with pytest.raises(Denied) as caught:
        await open_etcd(etcd.settings(user="other", password="secret", probe=PROBE))
    assert str(caught.value) == says
    async with etcd.store(user="other", password="secret", probe=b"/other/") as store:
        for use in (*READS, *WRITES):
            with pytest.raises(Denied) as caught:
                await use(store)
            assert str(caught.value) == says


async def test_all_that_a_user_of_ours_needs(etcd: EtcdServer) -> None:
    """A user with rights on the prefix alone can do all that the daemon does."""
    async with etcd.store(user="xdsd", password="secret", probe=PROBE) as store:
        lease = await store.grant(60)
        first = await store.put(KEY, b"1", lease=lease)
        assert await store.keep_alive(lease) == 60
        assert (await store.time_to_live(lease)).keys == (KEY,)
        assert lease in await store.leases()
        status = await store.status()
        assert (status.revision, status.members, status.alarms) == (first, (etcd.url,), ())
        # Newer etcds tell root alone which version they are, and who leads.
        assert (status.version, status.leader) in {(etcd.release.version, etcd.url), ("", "")}
        watch = store.watch(b"/xdsd/", b"/xdsd0", start_revision=first)
        assert [batch.revision for batch in await take(watch, 1)] == [first]
        await watch.request_progress()
        assert [batch.events for batch in await take(watch, 1)] == [()]
        await watch.close()
        await store.revoke(lease)
        assert await store.get(KEY) is None


async def test_rights_that_come_and_go(etcd: EtcdServer) -> None:
    """Rights that are taken away deny, and when they are given back all goes on, without a restart."""
    async with etcd.store(user="xdsd", password="secret", probe=PROBE) as store:
        await store.put(KEY, b"0")
        await etcd.etcdctl(*ADMIN, "user", "revoke-role", "xdsd", "xdsd")
        with pytest.raises(Denied, match="/xdsd/"):
            await store.put(KEY, b"1")
        await etcd.etcdctl(*ADMIN, "user", "grant-role", "xdsd", "xdsd")
        assert await store.put(KEY, b"2")


async def test_a_password_that_is_replaced(etcd: EtcdServer, tmp_path: Path) -> None:
    """A new password is taken from its file when etcd asks for one again."""
    file = tmp_path / "password"
    file.write_text("secret\n")
    async with etcd.store(user="xdsd", password=file, probe=PROBE) as store:
        await store.put(KEY, b"0")
        await etcd.etcdctl(*ADMIN, "user", "passwd", "xdsd", "--interactive=false", text="new\n")
        file.write_text("new\n")
        await idle(2.0)
        assert await store.put(KEY, b"1")


async def test_many_calls_while_a_member_hangs(tmp_path: Path) -> None:
    """Calls that all have to prove who they are do not wait for a member that hangs one after the other."""
    async with EtcdCluster(tmp_path) as cluster:
        leader = await cluster.leader()
        member = cluster.but(leader)[0]
        await guarded(leader, ("xdsd", "readwrite", "/xdsd/"))
        async with store_on(
            [member, leader], user="xdsd", password="secret", probe=PROBE, deadline=12.0
        ) as store:
            store._endpoints.forget_token()
            store._endpoints._current = 0
            member.pause()
            try:
                await asyncio.gather(*(store.put(b"/xdsd/%d" % number, b"1") for number in range(20)))
            finally:
                member.resume()
