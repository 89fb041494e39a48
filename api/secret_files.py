"""Files for their owner alone, written so that whoever reads them sees the old or the new, never a half."""

import os
import secrets
from pathlib import Path


def write_secret(path: Path, content: bytes) -> None:
    """Makes or replaces a file of mode 0600. Raises OSError."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
