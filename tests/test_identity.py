"""The parts of identity, as the settings want them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from storage.memory import MemoryStore
from xdsd.ca.sealing import VARIABLE, SealingError
from xdsd.config import load
from xdsd.fleet.members import Member
from xdsd.identity import make_identity
from xdsd.telemetry import Metrics

TLS = {"xds_tls_address": "127.0.0.1:15012"}


def made(folder: Path, **flags: Any) -> object:
    """What is made of these settings."""
    options = load(None, {}, {"state_dir": str(folder), **flags}, uid=1)
    metrics = Metrics(CollectorRegistry(), "1")
    clock = asyncio.get_running_loop().time
    return make_identity(options, MemoryStore(), structlog.get_logger(), clock, metrics, nobody)


async def nobody() -> list[Member]:
    """No daemon of the fleet is known."""
    return []


def names(folder: Path) -> list[str]:
    """What stands in a folder."""
    return sorted(each.name for each in folder.iterdir())


async def test_without_a_tls_port_there_is_no_ca(tmp_path: Path) -> None:
    """Nothing is made, and no key is left in the state dir."""
    assert made(tmp_path) is None
    assert names(tmp_path) == []


async def test_a_store_of_ones_own_gets_a_sealing_key(tmp_path: Path) -> None:
    """The embedded store's key is made in the state dir, for its owner alone."""
    assert made(tmp_path, **TLS) is not None
    (key,) = names(tmp_path)
    assert (tmp_path / key).stat().st_mode & 0o777 == 0o600


async def test_a_shared_store_needs_one_that_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon on an etcd does not start without it, and says what to set; it makes none of its own."""
    etcd = {"store": "etcd://127.0.0.1:1", **TLS}
    with pytest.raises(SealingError, match=f"set ca-sealing-key-file, {VARIABLE} or systemd's"):
        made(tmp_path, **etcd)
    assert names(tmp_path) == []
    monkeypatch.setenv(VARIABLE, "ab" * 32)
    assert made(tmp_path, **etcd) is not None


async def test_a_ca_that_is_given_needs_no_key(tmp_path: Path) -> None:
    """With an intermediate from files, or a Vault, nothing is kept that would have to be sealed."""
    given = {"ca_cert": "/c", "ca_key": "/k"}
    vault = {"vault_address": "https://v:1", "vault_role": "r", "vault_token_file": "/t"}
    for flags in (given, vault):
        assert made(tmp_path, store="etcd://127.0.0.1:1", **TLS, **flags) is not None
    assert names(tmp_path) == []
