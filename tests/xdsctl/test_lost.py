"""What a command says when the connection breaks under it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.xdsctl.conftest import Xdsctl
from tests.xdsctl.manifests import REVIEWS

_FATAL = """
import os, signal, sys
from concurrent.futures import ThreadPoolExecutor

import grpc

from aetcd import rpc
from api.proto.xdsd.admin.v1 import admin_pb2 as pb


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


class Fatal(grpc.GenericRpcHandler):
    def service(self, call):
        method = call.method.rpartition("/")[2]
        if method == "Watch":
            first = (
                rpc.WatchResponse(created=True)
                if "etcd" in call.method
                else pb.WatchResponse(type=pb.WatchResponse.TYPE_BOOKMARK)
            )

            def looked(requests, context):
                yield first.SerializeToString()
                if sys.argv[2] == "killed":
                    die()

            if "etcd" in call.method:
                return grpc.stream_stream_rpc_method_handler(looked)
            return grpc.unary_stream_rpc_method_handler(looked)
        return grpc.unary_unary_rpc_method_handler(die)


server = grpc.server(ThreadPoolExecutor(2))
server.add_generic_rpc_handlers((Fatal(),))
server.add_insecure_port(sys.argv[1])
server.start()
print("up", flush=True)
server.wait_for_termination()
"""


@contextmanager
def fatal(folder: Path, end: str = "killed") -> Iterator[str]:
    """A daemon that is killed by every call, in the middle of it; its endpoint."""
    endpoint = f"unix:{folder / 'fatal.sock'}"
    process = subprocess.Popen([sys.executable, "-c", _FATAL, endpoint, end], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield endpoint
    finally:
        process.kill()
        process.communicate(timeout=60)


@pytest.mark.parametrize(
    ("words", "tells"),
    [
        (("apply", "-f", "-"), "xdsctl diff -f …"),
        (("delete", "vs", "reviews"), "xdsctl get"),
        (("kv", "put", "/app/a", "1"), "xdsctl kv get"),
        (("kv", "del", "/app/a"), "xdsctl kv get"),
        (("lease", "grant", "60"), "xdsctl lease list"),
        (("user", "add", "ada"), "xdsctl user show NAME"),
    ],
)
def test_a_write_without_an_answer_may_have_been_done(
    alone: Xdsctl, tmp_path: Path, words: tuple[str, ...], tells: str
) -> None:
    """The sentence says so, and what tells; it does not ask for a daemon to be started."""
    with fatal(tmp_path) as endpoint:
        result = alone("--endpoint", endpoint, *words, input=REVIEWS)
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: the connection to the daemon at {endpoint} broke before the answer; "
        f"what was sent may have been written: `{tells}` tells\n"
    )


@pytest.mark.parametrize(
    "words", [("get", "vs"), ("apply", "--dry-run", "-f", "-"), ("user", "add", "ada", "--dry-run")]
)
def test_what_writes_nothing_can_be_tried_again(
    alone: Xdsctl, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Reads and trials are told apart from writes."""
    with fatal(tmp_path) as endpoint:
        result = alone("--endpoint", endpoint, *words, input=REVIEWS)
    assert result.exit_code == 1
    assert result.stderr.endswith("broke before the answer; try again\n")


@pytest.mark.parametrize("words", [("get", "vs", "-w"), ("kv", "watch", "/app/", "--prefix")])
def test_a_watch_that_is_lost_is_a_failure(alone: Xdsctl, tmp_path: Path, words: tuple[str, ...]) -> None:
    """Whether the daemon was killed or ended the stream in order."""
    with fatal(tmp_path) as endpoint:
        killed = alone("--endpoint", endpoint, *words)
    (tmp_path / "fatal.sock").unlink(missing_ok=True)
    with fatal(tmp_path, "ended") as endpoint:
        ended = alone("--endpoint", endpoint, *words)
    assert (killed.exit_code, ended.exit_code) == (1, 1)
    assert killed.stderr == (
        f"Error: the connection to the daemon at {endpoint} was lost, and the watch with it\n"
    )
    assert ended.stderr == "Error: the daemon ended the watch\n"
