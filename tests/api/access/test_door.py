"""The kernel says who stands at the other end of the Unix socket."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from api.access.users import User
from api.client import Client
from api.credentials import Credentials
from tests.api.access.people import binding, with_token
from tests.api.daemon import Daemon, daemon
from tests.lab.missing import missing
from xdsd.settings import UnixAddress

STRANGER = 54321
CALL = """
import os, sys
from pathlib import Path
from api.access_client import AccessClient
from api.client import ApiError, Client
from api.credentials import Credentials
from xdsd.settings import UnixAddress
os.setgroups([])
os.setgid({uid})
os.setuid({uid})
try:
    with Client(UnixAddress(Path(sys.argv[1])), Credentials(token=sys.argv[2])) as client:
        print(AccessClient(client).whoami().name)
except ApiError as error:
    print(error)
"""


@pytest.fixture
def server() -> Iterator[Daemon]:
    """A daemon whose socket anybody can find."""
    with TemporaryDirectory(prefix="xdsd-") as folder:
        Path(folder).chmod(0o755)
        with daemon(Path(folder)) as running:
            yield running


def whoami(server: Daemon, uid: int, token: str = "") -> str:
    """What a process of another user of this machine is told."""
    if os.geteuid() != 0:
        missing("root", "a process of another user is needed; run these tests as root")
    assert isinstance(server.address, UnixAddress)
    done = subprocess.run(
        [sys.executable, "-c", CALL.format(uid=uid), str(server.address.path), token],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "GRPC_VERBOSITY": "NONE"},
    )
    return done.stdout.strip()


def test_another_user_of_the_machine_is_turned_away(server: Daemon) -> None:
    """Before a byte of theirs is read; the refusal is counted, logged, and told with what to do."""
    said = whoami(server, STRANGER)
    assert said.startswith(
        f"no daemon answers at {server.endpoint}: it hung up, as it does on users of this machine"
    )
    assert set(server.refused) == {"unknown uid"}
    line = server.told("a connection is refused")[0]
    assert line["why"] == "unknown uid"
    assert f"uid {STRANGER}" in line["origin"]


def test_a_token_does_not_open_the_door(server: Daemon) -> None:
    """Who may knock is asked before what they bring."""
    token = with_token(server, "alice", binding("admin")).token
    assert "it hung up" in whoami(server, STRANGER, token)


def test_a_user_by_its_uid_is_let_in(server: Daemon) -> None:
    """As itself and no more, until it is disabled."""
    server.run(server.directory.add(User("operator", (binding("viewer"),), uids=(STRANGER,))))
    assert whoami(server, STRANGER) == "operator"
    assert "it hung up" in whoami(server, STRANGER + 1)
    server.run(server.directory.remove("operator"))
    assert "it hung up" in whoami(server, STRANGER)


def test_root_may_do_everything(server: Daemon) -> None:
    """The daemon's own user, too; and a token makes them somebody else."""
    alice = with_token(server, "alice")
    own = whoami(server, 0)
    assert own == "root"
    assert whoami(server, 0, alice.token) == "alice"


def test_whoever_breaks_off_harms_nobody(server: Daemon) -> None:
    """Connections that say nothing, nonsense, or end in the middle; the next caller is served."""
    assert isinstance(server.address, UnixAddress)
    hung = []
    for sent in (
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\xff",
        os.urandom(4096),
    ):
        for close in (True, False):
            peer = socket.socket(socket.AF_UNIX)
            peer.connect(str(server.address.path))
            peer.sendall(sent)
            if close:
                peer.close()
            else:
                hung.append(peer)
    with server.client() as client:
        assert client.version().version == "1.2.3"
    for peer in hung:
        peer.close()


def test_many_connections_at_once_are_all_known(server: Daemon) -> None:
    """Each by its own peer."""
    clients = [Client(server.address, Credentials()) for _ in range(30)]
    try:
        for client in clients:
            assert client.version().version == "1.2.3"
    finally:
        for client in clients:
            client.close()
    assert server.refused == []
