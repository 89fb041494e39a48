"""The contract of registries on a real kube-apiserver, outages included."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.contracts.registry import RegistryContract
from tests.lab.kube import ADMIN_TOKEN, KubeServer
from tests.lab.relay import Relay
from tests.registry.kubernetes.cluster import ClusterPlatform

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.xdist_group("kubernetes"),
]


class TestCluster(RegistryContract):
    """A namespace, as a user that may read everything."""

    @pytest_asyncio.fixture(loop_scope="package")
    async def platform(
        self, kube: KubeServer, namespace: str, tmp_path: Path
    ) -> AsyncIterator[ClusterPlatform]:
        async with Relay(kube.port) as relay:
            kubeconfig = kube.write_kubeconfig(tmp_path / "kubeconfig", ADMIN_TOKEN, port=relay.port)
            yield ClusterPlatform(kube, namespace, relay, kubeconfig)
