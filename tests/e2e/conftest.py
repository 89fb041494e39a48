"""One demo mesh for all tests of this folder that change its objects alone."""

from collections.abc import Iterator

import pytest

from tests.lab.bookinfo import Bookinfo, running_bookinfo


@pytest.fixture(scope="session")
def shared_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bookinfo]:
    """A running demo; use ``mesh``, which undoes what earlier tests applied."""
    with running_bookinfo(tmp_path_factory.mktemp("demo")) as mesh:
        yield mesh


@pytest.fixture
async def mesh(shared_mesh: Bookinfo) -> Bookinfo:
    """The shared demo with every service by its first version."""
    await shared_mesh.apply("all-v1.yaml")
    return shared_mesh
