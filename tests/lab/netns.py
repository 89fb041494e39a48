"""Two machines on one wire, made of network namespaces, and the redirection that captures one's traffic.

*Inside* is a machine whose traffic is captured: every TCP connection that a program there opens
reaches Envoy's outbound port, and every one that arrives from *outside* reaches its inbound port,
whatever they were meant for. Envoy's own connections are told apart by its group and left alone.
``entered`` takes this thread, and what it starts meanwhile (sockets, programs), into a machine. All of
it needs root, and is gone when the test is.
"""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.lab.envoy import Bootstrap, Envoy
from tests.lab.missing import missing
from xdsd.demo.program import Program

PROXY_GROUP = 1337
INSIDE_ADDRESSES = ("10.201.0.1", "fd00:201::1")
OUTSIDE_ADDRESSES = ("10.201.0.2", "fd00:201::2")

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Machine:
    """A network namespace by its name, with an address of each family on the wire."""

    name: str
    address: str
    ipv6: str

    @contextmanager
    def entered(self) -> Iterator[None]:
        """What this thread opens or starts within the block, it does on this machine."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            away = os.open(f"/run/netns/{self.name}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                _set_namespace(away)
            finally:
                os.close(away)
            try:
                yield
            finally:
                _set_namespace(home)
        finally:
            os.close(home)

    def run(self, *command: str) -> str:
        """The output of a command on this machine; an error of it fails the test with what it said."""
        return run("ip", "netns", "exec", self.name, *command)


@contextmanager
def two_machines() -> Iterator[tuple[Machine, Machine]]:
    """Inside and outside, each the other's only neighbour; inside sends everything unknown to outside."""
    require()
    number = next(_numbers)
    inside = Machine(f"xdsd-{os.getpid()}-{number}-in", *INSIDE_ADDRESSES)
    outside = Machine(f"xdsd-{os.getpid()}-{number}-out", *OUTSIDE_ADDRESSES)
    made: list[Machine] = []
    try:
        for machine in (inside, outside):
            run("ip", "netns", "add", machine.name)
            made.append(machine)
        run(
            *("ip", "link", "add", "eth0", "netns", inside.name),
            *("type", "veth", "peer", "name", "eth0", "netns", outside.name),
        )
        for machine in made:
            for address in (f"{machine.address}/24", f"{machine.ipv6}/64"):
                run("ip", "-n", machine.name, "address", "add", address, "dev", "eth0", *_at_once(address))
            for device in ("lo", "eth0"):
                run("ip", "-n", machine.name, "link", "set", device, "up")
        for family, address in (("-4", outside.address), ("-6", outside.ipv6)):
            run("ip", family, "-n", inside.name, "route", "add", "default", "via", address)
        yield inside, outside
    finally:
        for machine in made:
            run("ip", "netns", "delete", machine.name)


def capture(machine: Machine, *, outbound: int = 15001, inbound: int = 15006) -> None:
    """Redirects all TCP of a machine to a proxy that runs there in ``PROXY_GROUP``.

    Left alone: what the proxy itself opens, what a program says to its own machine's loopback, and what the
    proxy passes on to the program (told by the source 127.0.0.6 or ::6).
    """
    proxy = ("-m", "owner", "--gid-owner", str(PROXY_GROUP))
    families = (("iptables", "127.0.0.6/32", "127.0.0.0/8"), ("ip6tables", "::6/128", "::1/128"))
    for tool, passed_on, loopback in families:
        for rule in (
            ("PREROUTING", "-p", "tcp", "-j", "REDIRECT", "--to-ports", str(inbound)),
            ("OUTPUT", "-o", "lo", "-s", passed_on, "-j", "RETURN"),
            ("OUTPUT", *proxy, "-j", "RETURN"),
            ("OUTPUT", "-d", loopback, "-j", "RETURN"),
            ("OUTPUT", "-p", "tcp", "-j", "REDIRECT", "--to-ports", str(outbound)),
        ):
            machine.run(tool, "--wait", "-t", "nat", "-A", *rule)


def capture_dns(machine: Machine, *nameservers: str, port: int = 15053) -> None:
    """Redirects the DNS questions of a captured machine to its proxy: those to ``nameservers`` only, if any are named.

    Left alone: what the proxy itself asks, and DNS over TCP, which the proxy carries on as any other connection. On a
    machine with a resolver of its own (systemd-resolved) it must be named, or what that asks others comes back to it.
    """
    proxy = ("-m", "owner", "--gid-owner", str(PROXY_GROUP))
    question = ("-p", "udp", "--dport", "53")
    for tool, six in (("iptables", False), ("ip6tables", True)):
        meant = [("-d", each) for each in nameservers if (":" in each) == six] if nameservers else [()]
        rules = [(*question, *proxy, "-j", "RETURN")]
        rules += [(*question, *where, "-j", "REDIRECT", "--to-ports", str(port)) for where in meant]
        for place, rule in enumerate(rules, 1):
            machine.run(tool, "--wait", "-t", "nat", "-I", "OUTPUT", str(place), *rule)


class CapturingEnvoy(Envoy):
    """An Envoy in the group that the redirection leaves alone; start it on the captured machine."""

    def __init__(
        self, bootstrap: Bootstrap, folder: Path, *, name: str = "envoy", ready: bool = True
    ) -> None:
        super().__init__(bootstrap, folder, name=name, ready=ready)
        # A change of group clears the wish to die with us, so it is made again.
        as_proxy = ("setpriv", f"--regid={PROXY_GROUP}", "--clear-groups", "--pdeathsig", "KILL")
        self.program = Program(name, [*as_proxy, *self.program.command], self.program.log)


def _at_once(address: str) -> tuple[str, ...]:
    # Without this, IPv6 first spends seconds on asking whether somebody else has the address.
    return ("nodad",) if ":" in address else ()


def require() -> None:
    if os.geteuid() != 0:
        missing("Root", "network namespaces and iptables need it")
    for tool in ("ip", "iptables", "setpriv"):
        if shutil.which(tool) is None:
            missing(tool, "install iproute2, iptables and util-linux")
    sweep()


def sweep() -> None:
    """Takes away what a run left that was killed: machines are named after the process that made them."""
    for name in run("ip", "netns", "list").split():
        parts = name.split("-")
        if parts[0] == "xdsd" and len(parts) > 2 and not Path("/proc", parts[1]).exists():
            # Another run may do so, too.
            subprocess.run(("ip", "netns", "delete", name), capture_output=True, timeout=30, check=False)


def _set_namespace(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}"
    return done.stdout
