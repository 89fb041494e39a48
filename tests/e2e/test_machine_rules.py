"""The rules of ``scripts/machine-join`` in a real kernel, on a machine that is a network namespace: who is led where."""

import asyncio
import pwd
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.echo import first_line, tcp_server
from tests.lab.netns import Machine, two_machines
from tests.lab.nspawn import REPO

pytestmark = pytest.mark.e2e

FAMILIES = ("iptables-save", "ip6tables-save")
STRANGER, OTHER = 7777, 7778


@dataclass(frozen=True, slots=True)
class Rules:
    """The script of rules on a machine, and its settings."""

    machine: Machine
    folder: Path

    def set(self, **settings: str) -> None:
        said = {"ACCOUNT": "nobody", "INBOUND": "22", "OUTBOUND": "", "USERS": "", "RANGES": "", "DNS": "yes"}
        lines = [f"{name}={value}\n" for name, value in {**said, **settings}.items()]
        (self.folder / "rules.conf").write_text("".join(lines))

    def run(self, action: str) -> None:
        settings = f"XDSD_RULES={self.folder / 'rules.conf'}"
        self.machine.run("env", settings, "bash", str(self.folder / "rules"), action)

    def saved(self) -> str:
        """What the kernel has, without its counts."""
        found = (self.machine.run(tool, "-t", "nat") for tool in FAMILIES)
        return re.sub(r"\[\d+:\d+\]|^#.*\n", "", "".join(found), flags=re.MULTILINE)

    async def as_user(self, user: str, address: str, port: int) -> str:
        """Who answers a user's program."""
        script = f"exec 3<>/dev/tcp/{address}/{port}; head -n 1 <&3"
        words = ("setpriv", f"--reuid={user}", "--clear-groups", "bash", "-c", script)
        return (await asyncio.to_thread(self.machine.run, *words)).partition(" ")[0]


@pytest.fixture
def rules(tmp_path: Path) -> Iterator[tuple[Rules, Machine]]:
    """The rules of a machine, and its neighbour."""
    script = (REPO / "scripts" / "machine-join").read_text()
    inner = script.partition("<<'SCRIPT'\n")[2].partition("\nSCRIPT\n")[0]
    (tmp_path / "rules").write_text(inner + "\n")
    tmp_path.chmod(0o755)
    with two_machines() as (inside, outside):
        yield Rules(inside, tmp_path), outside


@asynccontextmanager
async def listening(machine: Machine, *ports: tuple[str, int]) -> AsyncIterator[None]:
    """Servers on a machine that say their names, on both families."""
    async with AsyncExitStack() as stack:
        with machine.entered():
            for name, port in ports:
                await stack.enter_async_context(tcp_server(name, "", port))
        yield


async def called(caller: Machine, *targets: tuple[str, int]) -> list[str]:
    """Who answers calls from a machine."""
    with caller.entered():
        return [(await first_line(address, port)).partition(" ")[0] for address, port in targets]


async def test_traffic_is_led_through_the_sidecar_but_for_what_is_left_alone(
    rules: tuple[Rules, Machine],
) -> None:
    """TCP of both families in both directions; not of the sidecar, of users, ports and ranges that are named."""
    made, outside = rules
    inside = made.machine
    proxy = ("out", 15001), ("in", 15006), ("program", 8080), ("ssh", 22)
    async with listening(inside, *proxy), listening(outside, ("stranger", STRANGER), ("other", OTHER)):
        strangers = (outside.address, STRANGER), (outside.ipv6, STRANGER)
        programs = (inside.address, 8080), (inside.ipv6, 8080), (inside.address, 22)
        before = made.saved()
        assert await called(inside, *strangers) == ["stranger", "stranger"]
        made.set()
        made.run("apply")
        assert await called(inside, *strangers) == ["out", "out"]
        assert await called(outside, *programs) == ["in", "in", "ssh"]
        assert await called(inside, ("127.0.0.1", 8080), ("::1", 8080)) == ["program", "program"]
        assert await made.as_user("nobody", outside.address, STRANGER) == "stranger"
        assert await made.as_user("daemon", outside.address, STRANGER) == "out"
        applied = made.saved()
        made.run("apply")
        assert made.saved() == applied
        made.set(
            USERS="daemon,bin", OUTBOUND=str(OTHER), RANGES=f"{outside.ipv6}/128,192.0.2.0/24", INBOUND=""
        )
        made.run("apply")
        assert await made.as_user("daemon", outside.address, STRANGER) == "stranger"
        assert await called(inside, *strangers, (outside.address, OTHER)) == ["out", "stranger", "other"]
        assert await called(outside, (inside.address, 22)) == ["in"]
        made.run("remove")
        assert made.saved() == before
        assert await called(inside, *strangers) == ["stranger", "stranger"]
        made.run("remove")
        assert made.saved() == before


def test_questions_are_led_to_the_sidecar_unless_they_are_not_to_be(rules: tuple[Rules, Machine]) -> None:
    """UDP to port 53, whatever nameserver is asked."""
    made, _ = rules
    for settings, expected in (({}, True), ({"DNS": "no"}, False), ({"OUTBOUND": "53"}, False)):
        made.set(**settings)
        made.run("apply")
        assert ("--to-ports 15053" in made.saved()) == expected


def test_settings_that_are_broken_change_nothing(rules: tuple[Rules, Machine]) -> None:
    """What is in the kernel stays as it is; a user who is gone is no mistake, and led through the sidecar like others."""
    made, _ = rules
    made.set(USERS="daemon,nobody-at-all")
    made.run("apply")
    applied = made.saved()
    assert f"--uid-owner {pwd.getpwnam('daemon').pw_uid} " in applied
    for broken in (
        {"INBOUND": "22,99999"},
        {"RANGES": "10.0.0.0/64"},
        {"ACCOUNT": "nobody-at-all"},
        {"ACCOUNT": ""},
    ):
        made.set(**broken)
        for action in ("check", "apply"):
            with pytest.raises(AssertionError):
                made.run(action)
        assert made.saved() == applied
    made.set(DNS="no")
    settings = made.folder / "rules.conf"
    for cut in ("", settings.read_text()[:-8]):
        settings.write_text(cut)
        with pytest.raises(AssertionError, match="does not say"):
            made.run("apply")
        assert made.saved() == applied


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "which bundle?"),
        (("x.bundle", "--exclude-inbound", "ssh"), "--exclude-inbound: ssh cannot be"),
        (("x.bundle", "--exclude-inbound", "22,99999"), "99999 cannot be: a port is a number up to 65535"),
        (("x.bundle", "--exclude-outbound", "080"), "--exclude-outbound: 080 cannot be"),
        (("x.bundle", "--exclude-ranges", "10.0.0.0/64"), "--exclude-ranges: 10.0.0.0/64 cannot be"),
        (("x.bundle", "--exclude-ranges", "::/0,2001:db8::1::/64"), "2001:db8::1::/64 cannot be"),
        (("x.bundle", "--exclude-ranges", "cafe"), "cafe cannot be"),
        (("x.bundle", "--address", "999.1.1.1"), "999.1.1.1 is no address"),
        (("x.bundle", "--exclude-users", "nobody-at-all"), "there is no user nobody-at-all"),
        (("x.bundle", "--exclude-ranges", "$(id)"), "cannot be"),
        (("x.bundle", "--wat"), "unknown option --wat"),
        (("x.bundle", "--name"), "--name needs a value"),
        (("one", "two"), "one bundle at a time"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_done(words: tuple[str, ...], why: str) -> None:
    """With exit code 2."""
    done = subprocess.run(
        [REPO / "scripts" / "machine-join", *words], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert why in done.stderr
