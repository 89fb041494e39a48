"""An address is looked at before it is listened on."""

import socket
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.lab.ports import free_port
from xdsd.settings import TcpAddress, UnixAddress
from xdsd.sockets import refuse_taken


def test_free_addresses_are_left_as_they_are() -> None:
    """Nothing stands there afterwards either, and a dead program's socket is none of the living."""
    refuse_taken(TcpAddress("127.0.0.1", free_port()), "xds-address")
    refuse_taken(TcpAddress("127.0.0.1", 0), "xds-address")
    with TemporaryDirectory(prefix="xdsd-") as folder:  # a socket's path must be short
        path = Path(folder) / "s"
        refuse_taken(UnixAddress(path), "xds-address")
        assert not path.exists()
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        refuse_taken(UnixAddress(path), "xds-address")


def test_a_port_that_someone_has_is_refused() -> None:
    """The sentence names the address and the setting."""
    with socket.create_server(("127.0.0.1", 0)) as owner:
        address = TcpAddress("127.0.0.1", owner.getsockname()[1])
        with pytest.raises(
            OSError, match=f"^cannot listen on {address}: it is in use; .* set another --a-b$"
        ):
            refuse_taken(address, "a-b")


def test_an_address_of_another_machine_is_refused() -> None:
    """TEST-NET-1: no machine has it."""
    with pytest.raises(OSError, match="cannot assign requested address; set another --a-b"):
        refuse_taken(TcpAddress("192.0.2.1", 0), "a-b")


def test_a_path_that_someone_has_is_refused() -> None:
    """A living program's socket, a file, a dangling link, and a folder that is not there."""
    with TemporaryDirectory(prefix="xdsd-") as folder:
        living, file, link = (Path(folder) / name for name in ("living", "file", "link"))
        file.touch()
        link.symlink_to(Path(folder) / "nowhere")
        with socket.socket(socket.AF_UNIX) as owner:
            owner.bind(str(living))
            owner.listen()
            with pytest.raises(OSError, match="another program listens there already"):
                refuse_taken(UnixAddress(living), "a-b")
        for path in (file, link):
            with pytest.raises(OSError, match="what stands there is no socket"):
                refuse_taken(UnixAddress(path), "a-b")
        with pytest.raises(OSError, match=f"there is no folder {folder}/none; make it first"):
            refuse_taken(UnixAddress(Path(folder) / "none" / "s"), "a-b")
