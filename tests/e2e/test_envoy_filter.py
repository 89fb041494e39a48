"""EnvoyFilters on real Envoys: what they add is there, and what an Envoy refuses is left out alone."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.patching import HOST, HTTP, Shop, adds_header, envoy_filter, http_filter, running_shop
from tests.lab.eventually import eventually
from tests.lab.ports import free_port

pytestmark = pytest.mark.e2e


async def answers(shop: Shop, header: str, value: str | None) -> None:
    """Returns once the gateway's answers have the header, or (None) have it no more."""

    async def seen() -> None:
        assert (await shop.through_gateway()).headers.get(header) == value

    await eventually(seen, f"{header} is {value}")


async def test_filters_routes_and_clusters_are_patched(tmp_path: Path) -> None:
    """A Lua filter marks responses, a route is answered differently, a cluster breaks its circuit; without the object all
    is as before.
    """
    async with running_shop(tmp_path) as shop:
        chosen = {"vhost": {"route": {"name": "front"}}}
        routed = {"request_headers_to_add": [{"header": {"key": "x-way", "value": "patched"}}]}
        answer = {"name": "teapot", "match": {"path": "/tea"}, "direct_response": {"status": 418}}
        limits = {"circuit_breakers": {"thresholds": [{"max_connections": 0, "max_pending_requests": 0}]}}
        await shop.apply(
            envoy_filter(
                "all",
                http_filter("marks", adds_header("x-marked", "yes")),
                {
                    "applyTo": "HTTP_ROUTE",
                    "match": {"context": "GATEWAY", "routeConfiguration": chosen},
                    "patch": {
                        "operation": "MERGE",
                        "value": {"response_headers_to_add": routed["request_headers_to_add"]},
                    },
                },
                {
                    "applyTo": "HTTP_ROUTE",
                    "match": {"context": "GATEWAY", "routeConfiguration": chosen},
                    "patch": {"operation": "INSERT_BEFORE", "value": answer},
                },
                {
                    "applyTo": "CLUSTER",
                    "match": {"context": "SIDECAR_OUTBOUND", "cluster": {"service": HOST}},
                    "patch": {"operation": "MERGE_AND_REPLACE_LIST", "value": limits},
                },
            )
        )
        await answers(shop, "x-marked", "yes")
        await answers(shop, "x-way", "patched")
        assert (await shop.through_gateway("/tea")).status == 418

        async def is_cut_off() -> bool:
            return (await shop.through_sidecar()).status == 503

        await eventually(is_cut_off, "the sidecar's circuit is open")
        assert (await shop.through_gateway()).status == 200
        assert await shop.problems() == []
        await shop.daemon.xdsctl("delete", "envoyfilter", "all")
        await answers(shop, "x-marked", None)
        await eventually(lambda: _is_ok(shop), "the sidecar's circuit is closed")


async def _is_ok(shop: Shop) -> bool:
    return (await shop.through_sidecar()).status == 200


async def test_what_an_envoy_refuses_is_left_out_alone(tmp_path: Path) -> None:
    """A filter that no Envoy can run keeps nothing else from changing: its listener is served without it, other objects'
    patches stay, its owner reads Envoy's words, and mended it is applied.
    """
    async with running_shop(tmp_path) as shop:
        await shop.apply(envoy_filter("good", http_filter("good", adds_header("x-good", "1"))))
        await answers(shop, "x-good", "1")
        await shop.apply(envoy_filter("bad", http_filter("bad", "this is no Lua")))

        async def is_told() -> list[str]:
            return [line for line in await shop.problems() if "default/bad" in line]

        (line,) = await eventually(is_told, "the owner is told")
        assert "gateway.default" in line
        assert "script load error" in line
        assert "spec.configPatches[0]" in line
        # Another change of the same listener goes through, beside what is refused.
        await shop.apply(envoy_filter("later", http_filter("later", adds_header("x-later", "1"))))
        await answers(shop, "x-later", "1")
        await answers(shop, "x-good", "1")
        assert [each for each in await shop.problems() if "default/bad" not in each] == []
        await eventually(lambda: _is_synced(shop), "no proxy rejects anything")
        await shop.apply(envoy_filter("bad", http_filter("bad", adds_header("x-bad", "mended"))))
        await answers(shop, "x-bad", "mended")
        await eventually(lambda: _is_silent(shop), "nothing is wrong any more")


async def _is_synced(shop: Shop) -> bool:
    return "NACKED" not in await shop.daemon.xdsctl("proxies")


async def _is_silent(shop: Shop) -> bool:
    return await shop.problems() == []


async def test_refusals_of_every_type_are_isolated(tmp_path: Path) -> None:
    """A cluster, a route table and an extension config that an Envoy refuses at once: what is good in each is applied, and
    each owner reads its own words.
    """
    async with running_shop(tmp_path) as shop:
        host = {"context": "GATEWAY", "cluster": {"service": HOST}}
        regex = {"pattern": {"regex": "/"}, "substitution": "/"}
        twice = {"cluster": "c", "prefix_rewrite": "/", "regex_rewrite": regex}
        rewritten = {
            "name": "twice",
            "domains": ["twice.example.com"],
            "routes": [{"match": {"prefix": "/"}, "route": twice}],
        }
        marks = {"response_headers_to_add": [{"header": {"key": "x-marked", "value": "yes"}}]}
        config = http_filter("x", "no Lua")["patch"]["value"]["typed_config"]
        discovery = {
            "config_source": {"ads": {}},
            "type_urls": [config["@type"]],
            "default_config": {"@type": config["@type"]},
            "apply_default_config_without_warming": True,
        }
        refers = {"name": "ext", "config_discovery": discovery}
        bad = {
            "cluster": {
                "applyTo": "CLUSTER",
                "match": host,
                "patch": {"operation": "MERGE", "value": {"lb_policy": "CLUSTER_PROVIDED"}},
            },
            "routes": {
                "applyTo": "VIRTUAL_HOST",
                "match": {"context": "GATEWAY"},
                "patch": {"operation": "ADD", "value": rewritten},
            },
            "extension": {
                "applyTo": "EXTENSION_CONFIG",
                "patch": {"operation": "ADD", "value": {"name": "ext", "typed_config": config}},
            },
        }
        good = (
            {
                "applyTo": "CLUSTER",
                "match": host,
                "patch": {"operation": "MERGE", "value": {"connect_timeout": "7s"}},
            },
            {
                "applyTo": "ROUTE_CONFIGURATION",
                "match": {"context": "GATEWAY"},
                "patch": {"operation": "MERGE", "value": marks},
            },
            {
                "applyTo": "HTTP_FILTER",
                "match": {"context": "GATEWAY"},
                "patch": {"operation": "ADD", "value": refers},
            },
        )
        await shop.apply(
            envoy_filter("good", *good), *(envoy_filter(name, each) for name, each in bad.items())
        )
        words = {
            "cluster": "cluster provided LB",
            "routes": "Specify only one of",
            "extension": "script load error",
        }

        async def all_told() -> None:
            problems = await shop.problems()
            for name, word in words.items():
                assert any(f"default/{name} " in line and word in line for line in problems), (name, problems)
            assert len(problems) == len(words)

        await eventually(all_told, "every owner is told")
        await answers(shop, "x-marked", "yes")

        async def is_merged() -> bool:
            (dump,) = await shop.gateway.config_dump("ClustersConfigDump")
            clusters = [each["cluster"] for each in dump["dynamic_active_clusters"]]
            return any(each["name"].endswith(HOST) and each["connect_timeout"] == "7s" for each in clusters)

        await eventually(is_merged, "the good part of the cluster's patches is applied")
        await eventually(lambda: _is_synced(shop), "no proxy rejects anything")


async def test_traffic_flows_on_beside_a_refused_patch(tmp_path: Path) -> None:
    """Requests through the gateway never fail while patches come that it refuses, and are mended or removed."""
    async with running_shop(tmp_path) as shop:
        done = asyncio.Event()
        failed: list[Any] = []

        async def visit() -> int:
            count = 0
            while not done.is_set():
                reply = await shop.through_gateway()
                count += 1
                if reply.status != 200:
                    failed.append(reply)
            return count

        visitor = asyncio.create_task(visit())
        for turn in range(5):
            await shop.apply(envoy_filter("bad", http_filter("bad", f"no Lua {turn}")))
            await eventually(shop.problems, "it is told")
            await shop.apply(envoy_filter("bad", http_filter("bad", adds_header("x-turn", str(turn)))))
            await answers(shop, "x-turn", str(turn))
        done.set()
        assert await visitor > 20
        assert failed == []


async def test_extension_configs_and_listeners_are_added(tmp_path: Path) -> None:
    """A filter that refers to an extension config runs it, an edit of that config alone changes it, and a listener that a
    patch adds answers.
    """
    async with running_shop(tmp_path) as shop:
        port = free_port()

        def filters(word: str) -> dict[str, Any]:
            lua = http_filter("x", adds_header("x-extension", word))["patch"]["value"]["typed_config"]
            extension = {"name": "shared", "typed_config": lua}
            refers = {
                "name": "shared",
                "config_discovery": {"config_source": {"ads": {}}, "type_urls": [lua["@type"]]},
            }
            return envoy_filter(
                "ext",
                {"applyTo": "EXTENSION_CONFIG", "patch": {"operation": "ADD", "value": extension}},
                {
                    "applyTo": "HTTP_FILTER",
                    "match": {"context": "GATEWAY", "listener": {"filterChain": {"filter": {"name": HTTP}}}},
                    "patch": {"operation": "INSERT_FIRST", "value": refers},
                },
                {
                    "applyTo": "LISTENER",
                    "match": {"context": "GATEWAY"},
                    "patch": {"operation": "ADD", "value": _answering(port)},
                },
            )

        await shop.apply(filters("one"))
        await answers(shop, "x-extension", "one")
        updates = await shop.gateway.stat("listener_manager.listener_modified")
        await shop.apply(filters("two"))
        await answers(shop, "x-extension", "two")
        assert await shop.gateway.stat("listener_manager.listener_modified") == updates
        added = Shop(shop.daemon, shop.gateway, shop.sidecar, port, 0, 0)
        assert (await added.through_gateway()).text == "added"
        assert await shop.problems() == []


def _answering(port: int) -> dict[str, Any]:
    """A listener that says "added" to every request."""
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    }
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "added"}}}
    manager = {
        "@type": f"type.googleapis.com/{HTTP.replace('envoy.filters', 'envoy.extensions.filters')}.v3.HttpConnectionManager",
        "stat_prefix": "added",
        "http_filters": [router],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
    }
    chain = {"filters": [{"name": HTTP, "typed_config": manager}]}
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {"name": "added", "address": address, "filter_chains": [chain]}
