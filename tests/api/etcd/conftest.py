"""A client on a daemon that lets clients keep keys below ``/app/``."""

from collections.abc import Iterator

import pytest

from tests.api.daemon import Daemon
from tests.api.etcd.calling import Calling, Watching, calling, watching


@pytest.fixture
def client(server: Daemon) -> Iterator[Calling]:
    with calling(server) as connected:
        yield connected


@pytest.fixture
def stream(client: Calling) -> Iterator[Watching]:
    with watching(client) as opened:
        yield opened
