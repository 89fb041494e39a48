"""Joins that fail on a bare Debian with a real systemd leave what was there before, byte for byte, and tell why."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.bootstrap import BootstrapOptions, bootstrap_json
from api.daemon_tls import XdsTls
from api.join_bundle import ADDRESS, NAME, ROOTS, TOKEN, Bundle, written
from tests.lab.certificates import Authority
from tests.lab.envoy import envoy_binary
from tests.lab.nspawn import Machine, booted
from tests.registration.making import group
from xdsd.model.mesh import Role
from xdsd.setting_values import TcpAddress

pytestmark = pytest.mark.e2e

JOIN = "/src/scripts/machine-join --address 192.0.2.9"
STATE = """
for each in /etc/xdsd/machine/* /etc/systemd/system/xdsd-*; do stat -c '%n %a %U %G' $each; cat $each; done
find /etc/xdsd /etc/systemd/system -not -name machine.? -not -path '*/machine.?/*'
iptables-save | sed -n /^-A/p; ip6tables-save | sed -n /^-A/p
"""
NOTHING = "ls -d /etc/xdsd /etc/systemd/system/xdsd* 2>/dev/null; id xdsd-machine 2>/dev/null; iptables-save | sed -n /^-A/p"


def bundle(folder: Path) -> str:
    """As ``xdsctl machine join-bundle`` makes it; nobody is at its daemon's address."""
    daemons = (TcpAddress("127.0.0.1", 15012),)
    tls = XdsTls("spiffe://cluster.local/ns/istio-system/sa/xdsd", root=ROOTS, token=TOKEN)
    options = BootstrapOptions(
        role=Role.SIDECAR,
        name=NAME,
        namespace="default",
        address=ADDRESS,
        xds_addresses=daemons,
        xds_tls=tls,
        group="reviews",
    )
    return written(
        Bundle(
            group=group(),
            name="",
            daemons=daemons,
            identity="spiffe://cluster.local/ns/default/sa/reviews",
            token_id="0123456789ab",
            expires="2099-01-01T00:00:00Z",
            token="xdsdj_0123456789ab_" + "x" * 43,
            roots=Authority(folder / "ca").cert.read_text(),
            bootstrap=bootstrap_json(options),
        )
    )


def broken(whole: str) -> Iterator[tuple[str, str]]:
    """Bundles, and what is said of each."""
    for at in range(0, len(whole) - 1, len(whole) // 9):
        yield whole[:at], "is no join bundle" if at == 0 else "is cut off"
    yield whole[:-2], "is cut off: its BOOTSTRAP has no end"
    yield whole.replace("\n", "\r\n"), "has Windows line ends"
    yield whole.replace("xdsd-join-bundle: 1", "xdsd-join-bundle: 2"), "of a version"
    yield whole + "=====BEGIN MORE=====\n", "has other parts"
    yield re.sub("xdsdj_.*", "x", whole), "its JOIN TOKEN is none"
    yield whole.replace("2099-", "2020-"), "expired at 2020-01-01"
    yield whole.replace('"node"', '"nodes"'), "does not take the bootstrap of this bundle"
    yield re.sub("^MI", "XX", whole, flags=re.MULTILINE), "does not take the bootstrap of this bundle"


async def told(machine: Machine, command: str, code: int = 1) -> str:
    """What a join says that fails."""
    found, said = await machine.attempt("bash", "-c", command)
    assert found == code, said
    return said


async def test_joins_that_fail_change_nothing(tmp_path: Path) -> None:
    """Broken bundles, options that no kernel takes, an Envoy that is none or does not start: on a bare machine nothing is
    left, and on one that has joined the former installation is.
    """
    whole = bundle(tmp_path)
    async with booted(tmp_path, {envoy_binary(): "/usr/local/bin/envoy"}) as machine:
        await machine.write("/root/whole", whole)
        await machine.write("/root/cut", whole[:-2])
        taken = "systemd-run --quiet --unit taken python3 -m http.server 15000 --bind 127.0.0.1"
        await machine.sh(f"{taken}; until ss -Htln | grep -q :15000; do sleep 0.1; done")
        assert "cut off" in await told(machine, f"{JOIN} /root/cut")
        assert "is no Envoy" in await told(machine, f"{JOIN} /root/whole --envoy /bin/false")
        assert "nothing was left of it" in await told(machine, f"{JOIN} /root/whole")
        assert await machine.run("bash", "-c", NOTHING, check=False) == ""
        said = await machine.sh(f"cat /root/whole | {JOIN} - --no-start --exclude-inbound 9100 --no-dns")
        assert said.startswith("everything is in place for this machine to be ")
        assert "192.0.2.9 is an address of no interface here" in said
        said = await told(machine, "/src/scripts/machine-join --address '' /root/whole --no-start")
        assert "the daemon is on this machine: say where others reach it by --address" in said
        before = await machine.sh(STATE)
        for text, why in broken(whole):
            await machine.write("/root/broken", text)
            said = await told(machine, f"{JOIN} /root/broken --no-start")
            assert why in said
            assert len(said.splitlines()) <= 2, said
        await _refuses_to_lock_out(machine)
        said = await told(machine, f"{JOIN} /root/whole --exclude-inbound 9200")
        assert "what was there before is there again" in said
        assert await machine.sh(STATE) == before
        assert "as before: --exclude-inbound 9100 --no-dns\n" in await machine.sh(f"{JOIN} --no-start")
        await machine.sh(f"{JOIN} --uninstall")
        assert await machine.run("bash", "-c", NOTHING, check=False) == ""


async def _refuses_to_lock_out(machine: Machine) -> None:
    """Where SSH is served at another port than 22."""
    await machine.sh(
        "cp $(realpath /usr/bin/python3) /root/sshd; systemd-run --quiet --unit other /root/sshd -m http.server 2222"
    )
    await machine.sh("until ss -Htln | grep -q :2222; do sleep 0.1; done")
    assert "SSH is served at port 2222" in await told(machine, f"{JOIN} /root/whole --no-start", 2)
    await machine.sh("systemctl stop other")
    by = "SSH_CONNECTION='192.0.2.1 4711 192.0.2.2 2200'"
    assert "SSH is served at port 2200" in await told(machine, f"{by} {JOIN} /root/whole --no-start", 2)
