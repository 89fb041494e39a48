"""Machines on a switch, each reachable from here, whose wires can be cut without a word.

Each machine is a network namespace with an address of its own. Between them, and between them and us, stands a namespace
that routes: what it drops nobody is told of, as with a broken cable or a firewall. It needs root, and is gone when the test
is.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count

from tests.lab.missing import missing
from tests.lab.netns import Machine, sweep

_numbers = count()


class Switch:
    """The machines, and what is cut between them."""

    def __init__(self, hub: Machine, machines: list[Machine]) -> None:
        self._hub = hub
        self.machines = machines

    def cut(self, machine: Machine) -> None:
        """Nothing reaches the machine any more, nor comes from it."""
        for side in ("-s", "-d"):
            self._drop(side, machine.address)

    def cut_between(self, machine: Machine, others: list[Machine]) -> None:
        """The machine and the others hear each other no more; we still reach all of them."""
        for other in others:
            self._drop("-s", machine.address, "-d", other.address)
            self._drop("-s", other.address, "-d", machine.address)

    def heal(self) -> None:
        """All is as it was."""
        self._hub.run("iptables", "--wait", "-F", "FORWARD")

    def _drop(self, *match: str) -> None:
        self._hub.run("iptables", "--wait", "-A", "FORWARD", *match, "-j", "DROP")


@contextmanager
def switched(machines: int) -> Iterator[Switch]:
    """So many machines on a switch."""
    _require()
    sweep()
    network = _free_network()
    name = f"xdsd-{os.getpid()}-{next(_numbers)}"
    with ExitStack() as stack:
        hub = _machine(stack, f"{name}-hub", f"{network}.2")
        hub.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        wire = f"xs{os.getpid()}"[:15]
        _run("ip", "link", "add", wire, "type", "veth", "peer", "name", "uplink", "netns", hub.name)
        stack.callback(subprocess.run, ["ip", "link", "delete", wire], check=False, capture_output=True)
        _run("ip", "address", "add", f"{network}.1/30", "dev", wire)
        _run("ip", "link", "set", wire, "up")
        _join(hub, "uplink", f"{network}.2/30")
        _run("ip", "route", "add", f"{network}.0/24", "via", hub.address)
        made = []
        for number in range(1, machines + 1):
            machine = _machine(stack, f"{name}-{number}", f"{network}.{4 * number + 2}")
            router = f"{network}.{4 * number + 1}"
            _run(
                *("ip", "link", "add", "eth0", "netns", machine.name),
                *("type", "veth", "peer", "name", f"port{number}", "netns", hub.name),
            )
            _join(machine, "eth0", f"{machine.address}/30")
            _join(hub, f"port{number}", f"{router}/30")
            machine.run("ip", "route", "add", "default", "via", router)
            made.append(machine)
        yield Switch(hub, made)


def _machine(stack: ExitStack, name: str, address: str) -> Machine:
    _run("ip", "netns", "add", name)
    stack.callback(_run, "ip", "netns", "delete", name)
    machine = Machine(name, address, "")
    machine.run("ip", "link", "set", "lo", "up")
    return machine


def _join(machine: Machine, device: str, address: str) -> None:
    machine.run("ip", "address", "add", address, "dev", device)
    machine.run("ip", "link", "set", device, "up")


def _free_network() -> str:
    """The first three numbers of a network that nobody here uses: of those set apart for tests of devices."""
    taken = _run("ip", "-4", "address")
    networks = (f"198.18.{(os.getpid() + number) % 256}" for number in range(256))
    return next(network for network in networks if f"{network}." not in taken)


def _require() -> None:
    if os.geteuid() != 0:
        missing("Root", "network namespaces and iptables need it")
    for tool in ("ip", "iptables", "sysctl"):
        if shutil.which(tool) is None:
            missing(tool, "install iproute2, iptables and procps")


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout
