"""The admin port over TLS: who it shows itself as, whom it takes client certificates from, and files that are replaced."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aetcd import rpc

from api.access.certificates import ServerTls
from api.access.users import User
from api.access_client import AccessClient
from api.client import ApiError, UnreachableError, connect
from api.credentials import Credentials, load_tls
from api.etcd_client import EtcdClient
from tests.api.access.people import binding, with_token
from tests.api.daemon import Daemon, daemon
from tests.lab import handshakes
from tests.lab.certificates import Authority, Pair
from tests.lab.ports import free_port
from xdsd.settings import TcpAddress

LOOPBACK = TcpAddress("127.0.0.1", 0)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


def loopback(authority: Authority, *, expired: bool = False) -> Pair:
    """A certificate for a daemon on this machine."""
    return authority.issue("server", "DNS:localhost", "IP:127.0.0.1", expired=expired)


@contextmanager
def serving(
    folder: Path, pair: Pair, client_ca: Path | None = None, address: TcpAddress = LOOPBACK
) -> Iterator[Daemon]:
    with daemon(folder, address, ServerTls(pair.cert, pair.key, client_ca)) as server:
        yield server


def credentials(
    ca: Path | None, pair: Pair | None = None, token: str = "", server_name: str = ""
) -> Credentials:
    cert, key = (pair.cert, pair.key) if pair else (None, None)
    return Credentials(load_tls(ca, cert, key, server_name), token)


def name_of(server: Daemon, proof: Credentials) -> str:
    with server.client(proof) as client:
        return AccessClient(client).whoami().name


def refusal(server: Daemon, proof: Credentials) -> str:
    with pytest.raises(ApiError) as caught:
        name_of(server, proof)
    return str(caught.value)


def test_a_token_is_taken_over_tls(tmp_path: Path, authority: Authority) -> None:
    """Without a client CA nobody needs a certificate, and nobody is let in without credentials, loopback or not."""
    with serving(tmp_path, loopback(authority)) as server:
        alice = with_token(server, "alice", binding("viewer"))
        assert name_of(server, credentials(authority.cert, token=alice.token)) == "alice"
        assert "who calls is not known: give a token" in refusal(server, credentials(authority.cert))
        assert server.refused == ["no credentials"]
        # A certificate that nobody asked for proves nothing.
        assert "who calls is not known" in refusal(
            server, credentials(authority.cert, authority.issue("alice"))
        )


@pytest.mark.parametrize(
    ("subject", "names"),
    [
        ("alice", ()),
        ("alice.example.com", ("DNS:other.example.com", "DNS:alice.example.com")),
        ("spiffe://mesh/ns/a/sa/alice", ("URI:spiffe://mesh/ns/a/sa/alice",)),
    ],
)
def test_a_client_certificate_is_a_user(
    tmp_path: Path, authority: Authority, subject: str, names: tuple[str, ...]
) -> None:
    """By its common name, a DNS name, a URI; disabled, it is not."""
    with serving(tmp_path, loopback(authority), authority.cert) as server:
        server.run(server.directory.add(User("operator", (binding("viewer"),), certificates=(subject,))))
        pair = authority.issue("alice", *names)
        assert name_of(server, credentials(authority.cert, pair)) == "operator"
        with server.client(credentials(authority.cert, pair)) as client:
            assert AccessClient(client).whoami().method == "certificate"
            server.run(server.directory.remove("operator"))
            with pytest.raises(
                ApiError, match=r"is of no user; an admin can say whose it is: xdsctl user add"
            ):
                AccessClient(client).whoami()
        assert server.refused == ["unknown certificate"]


def test_with_a_client_ca_every_caller_needs_a_certificate_of_it(
    tmp_path: Path, authority: Authority
) -> None:
    """None, one of another CA, an expired one: the handshake ends it, whatever token comes along."""
    other = Authority(tmp_path / "other", "other")
    with serving(tmp_path, loopback(authority), authority.cert) as server:
        token = with_token(server, "alice", binding("admin")).token
        server.run(server.directory.add(User("bob", certificates=("bob",))))
        for proof, sentence in (
            (
                credentials(authority.cert, token=token),
                "it may want a client certificate; give yours with --cert",
            ),
            (
                credentials(authority.cert, other.issue("bob"), token),
                "it does not take the certificate of --cert",
            ),
            (
                credentials(authority.cert, authority.issue("bob", expired=True), token),
                "which may have expired",
            ),
        ):
            assert sentence in refusal(server, proof)
        assert name_of(server, credentials(authority.cert, authority.issue("bob"))) == "bob"
        assert name_of(server, credentials(authority.cert, authority.issue("bob"), token)) == "alice"


def test_what_is_wrong_with_the_daemons_certificate_is_told(tmp_path: Path, authority: Authority) -> None:
    """In one sentence each, with what to do; no token reaches a daemon that could not prove itself."""
    other = Authority(tmp_path / "other", "other")
    with serving(tmp_path, loopback(authority)) as server:
        token = with_token(server, "alice", binding("viewer")).token
        where = f"the certificate of the daemon at {server.endpoint}"
        assert refusal(server, credentials(other.cert, token=token)) == (
            f"{where} was not made by the CA of --ca; give the file of the CA that made it with --ca or XDSCTL_CA"
        )
        assert "was not made by a CA that this machine trusts" in refusal(
            server, credentials(None, token=token)
        )
        assert refusal(server, credentials(authority.cert, token=token, server_name="elsewhere")) == (
            f"{where} is not for elsewhere; say a name that it has with --server-name, or make one for elsewhere"
        )
        assert name_of(server, credentials(authority.cert, token=token, server_name="localhost")) == "alice"
        assert "it may speak TLS; give the file of the CA" in refusal(server, Credentials(token=token))
        assert server.refused == []
    with serving(tmp_path, loopback(authority, expired=True)) as server:
        assert "has expired; renew the files of its admin-tls-cert" in refusal(
            server, credentials(authority.cert)
        )
    with daemon(tmp_path, LOOPBACK) as server:
        assert "speaks no TLS; set admin-tls-cert" in refusal(server, credentials(authority.cert))


def test_replaced_files_are_followed(tmp_path: Path, authority: Authority) -> None:
    """The next handshake has the new certificate; what cannot be used meanwhile is logged once, and not taken."""
    pair = loopback(authority)
    renewed = Authority(tmp_path / "renewed", "renewed")
    with serving(tmp_path, pair) as server:
        token = with_token(server, "alice", binding("viewer")).token
        old, new = (credentials(each.cert, token=token) for each in (authority, renewed))
        with server.client(old) as connected:
            assert AccessClient(connected).whoami().name == "alice"
            fresh = loopback(renewed)
            fresh.cert.replace(pair.cert)  # its key is still the old one's
            assert name_of(server, old) == "alice"
            pair.key.unlink()
            assert name_of(server, old) == "alice"
            pair.key.write_text("no key")
            assert name_of(server, old) == "alice"
            assert name_of(server, old) == "alice"
            told = [line["why"] for line in server.told("certificates of the admin port are as they were")]
            for said in (
                "do not fit: the key is of another certificate",
                "are no certificate in PEM and its key",
            ):
                assert len([why for why in told if said in why]) == 1
            fresh.key.replace(pair.key)
            assert name_of(server, new) == "alice"
            assert "was not made by the CA of --ca" in refusal(server, old)
            assert AccessClient(connected).whoami().name == "alice"  # what is connected stays so
        assert len(server.told("certificates of the admin port are new")) == 1


@pytest.mark.parametrize("broken", ["cert", "key", "client_ca"])
@pytest.mark.parametrize("how", ["missing", "nonsense", "empty"])
def test_a_daemon_does_not_start_with_files_it_cannot_use(
    tmp_path: Path, authority: Authority, broken: str, how: str
) -> None:
    """The sentence names the file and the settings."""
    pair = loopback(authority)
    path = {"cert": pair.cert, "key": pair.key, "client_ca": authority.cert}[broken]
    if how == "missing":
        path.unlink()
    else:
        path.write_text("nonsense" if how == "nonsense" else "")
    with pytest.raises(OSError, match=r"see the settings admin-tls-cert") as caught:  # noqa: SIM117
        with serving(tmp_path, pair, authority.cert):
            pass
    assert str(path) in str(caught.value)


def test_the_first_endpoint_that_answers_is_taken(tmp_path: Path, authority: Authority) -> None:
    """Nobody there, a daemon that cannot prove itself, then the right one; if there is none, each is told of."""
    nobody = TcpAddress("127.0.0.1", free_port())
    other = Authority(tmp_path / "other", "other")
    with (
        serving(tmp_path, loopback(other)) as wrong,
        serving(tmp_path, loopback(authority)) as server,
    ):
        token = with_token(server, "alice", binding("viewer")).token
        proof = credentials(authority.cert, token=token)
        with connect([(nobody, proof), (wrong.address, proof), (server.address, proof)]) as client:
            assert client.endpoint == server.address
            assert AccessClient(client).whoami().name == "alice"
        with pytest.raises(UnreachableError) as caught:
            connect([(nobody, proof), (wrong.address, proof)])
        told = str(caught.value).splitlines()
        assert told[0].startswith(f"no daemon answers at {nobody}: ")
        assert told[1].startswith(f"the certificate of the daemon at {wrong.address} was not made by")
        # One that refuses the caller has answered: the next is not asked for what this one does not allow.
        with connect([(server.address, credentials(authority.cert)), (wrong.address, proof)]) as client:
            assert client.endpoint == server.address


def test_etcds_api_goes_over_the_same_credentials(tmp_path: Path, authority: Authority) -> None:
    """kv, lease and member are calls of the same caller."""
    with serving(tmp_path, loopback(authority)) as server:
        admin = with_token(server, "alice", binding("admin")).token
        viewer = with_token(server, "bob", binding("viewer", "a")).token
        with server.client(credentials(authority.cert, token=admin)) as client:
            etcd = EtcdClient(client)
            assert etcd.members().header.revision >= 1
            assert etcd.grant(60).TTL == 60
            users = rpc.RangeRequest(key=b"/xdsd/access/", range_end=b"/xdsd/access0")
            assert etcd.range(users).count == 2
        with server.client(credentials(authority.cert, token=viewer)) as client:
            with pytest.raises(ApiError, match="bob may not read private configuration"):
                EtcdClient(client).range(users)
            with pytest.raises(ApiError, match="bob may not write objects"):
                EtcdClient(client).grant(60)
        with server.client(credentials(authority.cert)) as client, pytest.raises(ApiError, match="who calls"):
            EtcdClient(client).grant(60)


def test_old_versions_and_ciphers_are_not_spoken(tmp_path: Path, authority: Authority) -> None:
    """The admin port refuses TLS before 1.2, and whatever of 1.2 lacks ephemeral keys or authenticated encryption."""
    with serving(tmp_path, loopback(authority)) as server:
        assert isinstance(server.address, TcpAddress)
        port = server.address.port
        assert "TLSv1.3" in handshakes.handshake(port)
        spoken = handshakes.ciphers_of(port)
        assert spoken
        assert spoken <= handshakes.MODERN
        assert handshakes.old_versions_of(port) == set()


def test_the_test_of_versions_finds_a_server_that_is_weak(authority: Authority) -> None:
    """OpenSSL's own server with everything allowed is found to speak what ours do not."""
    pair, port = loopback(authority), free_port()
    words = [
        "openssl",
        "s_server",
        "-accept",
        f"127.0.0.1:{port}",
        "-cert",
        str(pair.cert),
        "-key",
        str(pair.key),
    ]
    weak = [*words, "-cipher", "ALL:@SECLEVEL=0", "-quiet"]
    with subprocess.Popen(weak, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as program:
        try:
            deadline = time.monotonic() + 60
            spoken: set[str] = set()
            while not spoken and time.monotonic() < deadline:
                spoken = handshakes.ciphers_of(port)
            assert spoken - handshakes.MODERN
            assert handshakes.old_versions_of(port)
        finally:
            program.kill()
