"""What happens where a part that a test needs is not on this machine."""

import os
from typing import NoReturn

import pytest


def in_ci() -> bool:
    """True where a skipped test would hide something."""
    return os.environ.get("CI", "").lower() in {"1", "true"}


def missing(part: str, reason: str) -> NoReturn:
    """Skips the test by the part's name and the reason; in CI fails it."""
    text = f"{part} is missing: {reason}"
    if in_ci():
        pytest.fail(text, pytrace=False)
    pytest.skip(text)
