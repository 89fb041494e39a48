"""A daemon for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.daemon import Daemon, daemon


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Daemon]:
    with daemon(tmp_path) as running:
        yield running
