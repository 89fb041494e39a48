"""Where a daemon keeps its state, and what its clients find there, unless told otherwise."""

from collections.abc import Mapping
from pathlib import Path

from xdsd.setting_values import UnixAddress

STORE_FILE = "xdsd.db"
"""The embedded store, in the state dir."""


def default_state_dir(environ: Mapping[str, str], uid: int) -> Path:
    """``/var/lib/xdsd`` for root; for others ``xdsd`` in XDG_STATE_HOME, by default ``~/.local/state``."""
    if uid == 0:
        return Path("/var/lib/xdsd")
    home = environ.get("XDG_STATE_HOME") or str(
        Path(environ.get("HOME") or "~").expanduser() / ".local" / "state"
    )
    return Path(home) / "xdsd"


def default_admin_address(state_dir: Path) -> UnixAddress:
    """Where the admin API listens, and where clients look for it."""
    return UnixAddress(state_dir / "admin.sock")
