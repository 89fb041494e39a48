"""Which socket the xDS address is served from. The handing-over itself is in test_restart.py."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import pytest

from tests.lab.ports import free_port
from xdsd.listening import inherited, open_port, open_ports
from xdsd.listening.port import STORED
from xdsd.setting_values import Address, TcpAddress, UnixAddress


@pytest.fixture
def manager() -> Iterator[tuple[socket.socket, dict[str, str]]]:
    """A manager's ear, and the environment that names it."""
    with (
        TemporaryDirectory(prefix="xdsd-") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear,
    ):
        ear.bind(f"{folder}/s")
        ear.setblocking(False)
        yield ear, {"NOTIFY_SOCKET": f"{folder}/s"}


def handed_over(given: socket.socket, name: str) -> tuple[dict[str, str], int]:
    """As a manager hands one over, but for the number, which pytest needs itself."""
    environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": name}
    return environ, given.detach()


def test_without_a_manager_nothing_is_kept() -> None:
    """gRPC is told the address itself."""
    address = TcpAddress("127.0.0.1", free_port())
    port = open_port(address, "xds-address", {})
    told: list[str] = []
    port.listen(told.append)
    assert (told, port.kept) == ([str(address)], False)
    port.close()


def test_a_socket_is_put_into_the_store_of_the_manager(
    manager: tuple[socket.socket, dict[str, str]],
) -> None:
    """It listens on the address, and the manager has it too, so that it outlives ours."""
    ear, environ = manager
    address = TcpAddress("127.0.0.1", free_port())
    port = open_port(address, "xds-address", environ)
    assert port.kept
    text, fds, _, _ = socket.recv_fds(ear, 100, 4)
    assert text == f"FDSTORE=1\nFDNAME={STORED}".encode()
    port.close()
    with socket.socket(fileno=fds[0]), socket.create_connection((address.host, address.port)):
        pass


def test_each_setting_has_a_socket_of_its_own_in_the_store(
    manager: tuple[socket.socket, dict[str, str]],
) -> None:
    """Several ports are kept under several names, so that one can be given up without the others."""
    ear, environ = manager
    wanted = [
        (TcpAddress("127.0.0.1", free_port()), "xds-address"),
        (TcpAddress("127.0.0.1", free_port()), "xds-tls-address"),
    ]
    ports = open_ports(wanted, environ)
    assert [port.address for port in ports] == [address for address, _ in wanted]
    for name in (STORED, f"{STORED}-xds-tls-address"):
        text, fds, _, _ = socket.recv_fds(ear, 100, 4)
        assert text == f"FDSTORE=1\nFDNAME={name}".encode()
        os.close(fds[0])
    for port in ports:
        port.close()


async def test_a_stall_leaves_time_to_serve_who_was_taken_just_before(
    manager: tuple[socket.socket, dict[str, str]],
) -> None:
    """Where the machine stands still while a port is released, its loop turns many a time afterwards."""
    port = open_port(TcpAddress("127.0.0.1", free_port()), "xds-address", manager[1])
    server = grpc.aio.server()
    port.listen(server.add_insecure_port)
    await server.start()
    releasing = asyncio.create_task(port.release())
    await asyncio.sleep(0)
    time.sleep(1)  # noqa: ASYNC251 - nothing goes on meanwhile, as on a machine that stalls
    turns = 0
    while not releasing.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert turns > 5
    await server.stop(0)
    port.close()


@pytest.mark.parametrize(
    "address", [TcpAddress("127.0.0.1", 0), UnixAddress(Path("/tmp") / f"xdsd-test-{os.getpid()}")]
)
def test_ports_of_the_systems_choice_and_paths_are_grpcs_own(
    manager: tuple[socket.socket, dict[str, str]], address: Address
) -> None:
    """Nobody could ask for the former again; a path is taken over by the next process, as gRPC does it."""
    port = open_port(address, "xds-address", manager[1])
    assert not port.kept
    port.close()


def test_a_port_that_another_program_has_is_refused(manager: tuple[socket.socket, dict[str, str]]) -> None:
    """With the sentence that is said without a manager, too."""
    with (
        socket.create_server(("127.0.0.1", 0)) as owner,
        pytest.raises(OSError, match="it is in use; stop what listens there or set another --a-b"),
    ):
        open_port(TcpAddress("127.0.0.1", owner.getsockname()[1]), "a-b", manager[1])


def test_sockets_for_another_process_are_left_alone() -> None:
    """LISTEN_PID names whom they are for; without it nobody gave us any."""
    assert inherited({"LISTEN_PID": "1", "LISTEN_FDS": "3"}) == []
    assert inherited({"LISTEN_FDS": "3"}) == []


@pytest.mark.parametrize(
    ("family", "host", "where"),
    [(socket.AF_INET, "127.0.0.1", "127.0.0.1:{}"), (socket.AF_INET6, "::1", "[::1]:{}")],
)
def test_inherited_sockets_say_where_they_listen(family: socket.AddressFamily, host: str, where: str) -> None:
    """As settings write an address."""
    made = socket.create_server((host, 0), family=family)
    number = made.getsockname()[1]
    environ, fd = handed_over(made, "a")
    (found,) = inherited(environ, fd)
    with found.socket:
        assert (found.name, found.where, found.listens) == ("a", where.format(number), True)
        assert not found.socket.get_inheritable()


def test_what_is_no_socket_is_refused(tmp_path: Path) -> None:
    """By the name that it was handed over with."""
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="'a' is no socket"):
            inherited({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "a"}, fd)
    finally:
        os.close(fd)
