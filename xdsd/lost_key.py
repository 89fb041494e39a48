"""A sealing key that is missing where the store holds what it sealed: another is never made in its place."""

from pathlib import Path

from storage.base import Store, prefix_end
from xdsd.ca.sealing import SealingError, to_be_made
from xdsd.ca.stored import LOST, ROOTS
from xdsd.credentials.kept import PREFIX
from xdsd.identity import key_places
from xdsd.setting_checks import serves_identity
from xdsd.settings import Settings


async def check_sealing_key(options: Settings, store: Store) -> None:
    """Raises SealingError where the daemon would make a key, and the store holds what another one sealed; StorageError."""
    path = to_be_made(key_places(options)) if serves_identity(options) else None
    if path is None:
        return
    secrets = await store.range(PREFIX.encode(), prefix_end(PREFIX.encode()), keys_only=True)
    given = options.ca_cert is not None or bool(options.vault_address)
    has_ca = not given and await store.get(ROOTS) is not None
    if has_ca or secrets.kvs:
        names = [kv.key.decode("utf-8", "replace").removeprefix(PREFIX) for kv in secrets.kvs]
        what = " and ".join([*(["the CA"] if has_ca else []), *([_secrets(names)] if names else [])])
        raise SealingError(
            f"the sealing key {path} is missing, and the store holds {what}, which it sealed: put it back from its copy; "
            f"{LOST if has_ca else _anew(path)}"
        )


def _secrets(names: list[str]) -> str:
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f"{len(names)} secret{'s' if len(names) > 1 else ''} ({shown})"


def _anew(path: Path) -> str:
    return (
        f"if that key is lost, so are these: make another with (umask 077; openssl rand -base64 32 > {path}), and keep them "
        "again with xdsctl secret create --replace"
    )
