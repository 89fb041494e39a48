"""A real kube-apiserver that says whose service account tokens are, and an Envoy's certificate by one."""

from pathlib import Path

import pytest

from tests.e2e.test_identity import mesh
from tests.lab.etcd import EtcdServer
from tests.lab.eventually import eventually
from tests.lab.kube import ADMIN_TOKEN, KubeServer

pytestmark = pytest.mark.e2e


async def test_the_cluster_decides_whose_tokens_count(tmp_path: Path) -> None:
    """A token for our audience gets a certificate of its account; one for another, and one whose account was deleted, does
    not; while the cluster is away it is said that it is.
    """
    (tmp_path / "own").write_text(ADMIN_TOKEN)
    async with EtcdServer(tmp_path) as etcd, KubeServer(tmp_path / "kube", etcd) as kube:
        settings = {
            "kubernetes-api": kube.url,
            "kubernetes-api-token-file": str(tmp_path / "own"),
            "kubernetes-api-ca": str(kube.ca),
        }
        folder = tmp_path / "daemon"
        folder.mkdir()
        async with mesh(folder, **settings) as made:
            await kube.namespace("shop")
            token, other = [await kube.account("shop", "reviews", each) for each in ("istio-ca", "lab")]
            assert (await made.issued(tmp_path / "one", token)).startswith(
                "spiffe://cluster.local/ns/shop/sa/reviews until "
            )
            with pytest.raises(AssertionError, match="does not know the service account token"):
                await made.issued(tmp_path / "two", other)
            await kube.delete("/api/v1/namespaces/shop/serviceaccounts/reviews")

            async def forgotten() -> bool:
                try:
                    await made.issued(tmp_path / "three", token)
                except AssertionError as error:
                    return "does not know the service account token" in str(error)
                return False

            await eventually(forgotten, "the cluster remembers what it said for ten seconds", every=1)
            await kube.stop()
            with pytest.raises(AssertionError, match="the cluster cannot be asked"):
                await made.issued(tmp_path / "four", token)
        assert token not in made.daemon.program.log.read_text()
