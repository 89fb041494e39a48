"""Custom resources as a server lists and watches them: found by version, kept over trouble, and told what became of them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from tests.contracts.registry import DEADLINE, running
from tests.lab.eventually import eventually
from tests.registry.kubernetes.cluster import DOMAIN, service
from tests.registry.kubernetes.unruly import Unruly, only, refusal, unruly_server
from xdsd.model.catalog import ServiceKey
from xdsd.model.problem import ObjectRef
from xdsd.registry.kubernetes import Cluster
from xdsd.registry.kubernetes.registry import KubernetesRegistry

A = ObjectRef("DestinationRule", "default", "a")
B = A._replace(name="b")


def rule(name: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "generation": 1}
    return {"kind": "DestinationRule", "metadata": metadata, "spec": {"host": name, **spec}}


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Unruly]:
    """A cluster of older custom resources, with one that is right and one that is wrong."""
    async with unruly_server() as server:
        server.kinds = {"networking.istio.io/v1beta1": ["destinationrules"]}
        server.objects = [service("a"), rule("a"), rule("b", hots=["b"])]
        yield server


def registry(server: Unruly, *intent: str, namespaces: tuple[str, ...] = ()) -> KubernetesRegistry:
    cluster = Cluster(name="east", intent=intent, namespaces=namespaces)
    return KubernetesRegistry(cluster, DOMAIN, login=server.login, brief=0.0)


async def test_nothing_is_intent_unless_it_is_wanted(server: Unruly) -> None:
    """A cluster brings services alone, and is not asked for more."""
    async with running(registry(server)) as sink:
        await sink.told("synced")
        assert sink.declared == {}
        assert not any("istio" in each for each in server.requests)


async def test_custom_resources_are_intent_in_the_version_that_is_there(server: Unruly) -> None:
    """The one that is wrong is told and hurts nobody; kinds that the server has not are none."""
    async with running(registry(server, "all")) as sink:
        await sink.told("synced")
        assert list(sink.declared) == [A]
        assert [str(each) for each in sink.mistakes] == [
            "kubernetes:east: DestinationRule default/b spec.hots: unknown field; did you mean host?"
        ]
        await eventually(lambda: server.watched("destinationrules"), "it is watched")
        await server.tell("destinationrules", "MODIFIED", rule("b"))
        await server.tell("destinationrules", "DELETED", rule("a"))
        await eventually(lambda: list(sink.declared) == [B], "b is there and a is gone", timeout=DEADLINE)
        assert sink.mistakes == []


async def test_only_the_namespaces_that_are_named_bring_intent(server: Unruly) -> None:
    """Where all may, those that are read at all."""
    for chosen in (registry(server, "shop", "till"), registry(server, "all", namespaces=("shop", "till"))):
        server.requests.clear()
        async with running(chosen) as sink:
            await sink.told("synced")
        asked = {each.partition("?")[0] for each in server.requests if "/destinationrules" in each}
        root = "/apis/networking.istio.io/v1beta1/namespaces"
        assert asked == {f"{root}/shop/destinationrules", f"{root}/till/destinationrules"}


async def test_a_cluster_whose_policies_may_not_be_read_is_not_one_without(server: Unruly) -> None:
    """It does not come to be; with the right it does."""
    server.kinds["security.istio.io/v1"] = ["authorizationpolicies"]
    server.misbehave = only("/authorizationpolicies", *[refusal(403, "may not")] * 3, None)
    async with running(registry(server, "all")) as sink:
        await sink.told("stale")
        assert "synced" not in sink.log
        assert sink.declared == {}
        await sink.told("synced")
        assert list(sink.declared) == [A]


async def test_a_kind_that_is_not_there_any_more_leaves_what_it_said(server: Unruly) -> None:
    """A server that starts may not know its kinds yet: nothing is taken for gone that nobody said to be gone."""
    async with running(registry(server, "all")) as sink:
        await sink.told("synced")
        server.kinds, kinds = {}, server.kinds
        await eventually(lambda: server.watched("destinationrules"), "it is watched")
        server.misbehave = only("/destinationrules", refusal(404, "no such thing"))
        server.hang_up()
        await sink.told("stale")
        assert list(sink.declared) == [A]
        server.kinds, server.misbehave = kinds, lambda _: None


async def test_what_became_of_an_object_is_merged_into_its_status(server: Unruly) -> None:
    """Once each; services have none."""
    east = registry(server, "all")
    async with running(east) as sink:
        await sink.told("synced")
        telling = asyncio.create_task(east.tell(lambda: sink.mistakes))
        try:
            await eventually(lambda: len(server.merged) == 2, "both are told", timeout=DEADLINE)
        finally:
            telling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await telling
        told = {path: body["status"]["conditions"][0]["status"] for path, body in server.merged}
        root = "/apis/networking.istio.io/v1beta1/namespaces/default/destinationrules"
        assert told == {f"{root}/a/status": "True", f"{root}/b/status": "False"}
        assert ServiceKey("default", f"a.default.svc.{DOMAIN}") in sink.services()
