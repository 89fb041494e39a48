"""A daemon whose sealing key is gone, and what its store still holds."""

from pathlib import Path
from typing import Any

import pytest

from storage.base import Store
from storage.memory import MemoryStore
from xdsd.ca.sealing import VARIABLE, SealingError
from xdsd.ca.stored import ROOTS
from xdsd.config import load
from xdsd.lost_key import check_sealing_key

TLS = {"xds_tls_address": "127.0.0.1:15012"}
FILES = {"ca_cert": "/c", "ca_key": "/k"}
VAULT = {"vault_address": "https://v:1", "vault_role": "r", "vault_token_file": "/t"}


def names(folder: Path) -> list[str]:
    """What stands in a folder."""
    return [each.name for each in folder.iterdir()]


async def check(folder: Path, held: Store, **flags: Any) -> None:
    """As a daemon with these settings does before it makes a key."""
    await check_sealing_key(load(None, {}, {"state_dir": str(folder), **flags}, uid=1), held)
    assert names(folder) == []


@pytest.mark.parametrize("flags", [TLS, {**TLS, **FILES}, {**TLS, **VAULT}])
async def test_no_key_is_made_where_secrets_are_sealed(tmp_path: Path, flags: dict[str, Any]) -> None:
    """Whoever the CA is, the daemon does not start, and says which secrets they are and what to do."""
    store = MemoryStore()
    await check(tmp_path, store, **flags)
    for name in ("edge/shop", "edge/tls"):
        await store.put(f"/xdsd/secrets/{name}".encode(), b"{}")
    with pytest.raises(
        SealingError, match=r"ca-sealing.key is missing, .* 2 secrets \(edge/shop, edge/tls\)"
    ) as told:
        await check(tmp_path, store, **flags)
    assert "xdsctl secret create --replace" in str(told.value)
    assert names(tmp_path) == []


async def test_no_key_is_made_where_a_ca_is_sealed(tmp_path: Path) -> None:
    """The way on is the command that begins another; where the CA is given, the one in the store is not in use."""
    store = MemoryStore()
    await store.put(ROOTS, b"{}")
    with pytest.raises(SealingError, match=r"the store holds the CA, which it sealed: .*: xdsd new-ca says"):
        await check(tmp_path, store, **TLS)
    assert names(tmp_path) == []
    await check(tmp_path, store, **TLS, **FILES)
    await check(tmp_path, store)


async def test_a_key_that_is_given_is_not_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it opens what is there is found when that is opened."""
    store = MemoryStore()
    await store.put(ROOTS, b"{}")
    monkeypatch.setenv(VARIABLE, "ab" * 32)
    await check(tmp_path, store, **TLS)
    monkeypatch.delenv(VARIABLE)
    await check(tmp_path, store, store="etcd://127.0.0.1:1", **TLS)
