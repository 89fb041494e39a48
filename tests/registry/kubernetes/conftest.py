"""One cluster for all tests of this folder; each uses a namespace of its own."""

import itertools
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.lab.kube import KubeServer, running_cluster

_NUMBERS = itertools.count(1)


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def kube(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KubeServer]:
    """A cluster that starts empty."""
    async with running_cluster(tmp_path_factory.mktemp("cluster")) as kube:
        yield kube


@pytest_asyncio.fixture(loop_scope="package")
async def namespace(kube: KubeServer) -> str:
    """A namespace that nobody else has."""
    name = f"test-{next(_NUMBERS)}"
    await kube.namespace(name)
    return name
