"""Objects to keep."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from xdsd.intents import Applied, IntentChange, Intents
from xdsd.manifest import AnyObject, parse_manifest, parse_object
from xdsd.model.intent import KINDS
from xdsd.model.problem import ObjectRef, Problem

NOW = "2026-01-31T12:00:00Z"
LATER = "2026-02-01T12:00:00Z"
DEADLINE = 60.0


def parse(text: str) -> list[AnyObject]:
    """The objects of a manifest without problems."""
    manifest = parse_manifest(text.encode(), "test.yaml")
    assert manifest.problems == ()
    return [parsed.object for parsed in manifest.objects]


def made(kind: str, name: str, spec: dict[str, Any], **metadata: Any) -> AnyObject:
    """An object of a kind; its namespace is ``default`` unless given."""
    value = {
        "apiVersion": KINDS[kind].preferred,
        "kind": kind,
        "metadata": {"namespace": "default", "name": name, **metadata},
        "spec": spec,
    }
    found = parse_object(value)
    assert not isinstance(found, list), found
    return found


def entry(name: str = "reviews", *, port: int = 9080, **metadata: Any) -> AnyObject:
    """A ServiceEntry of one short host, its name, and one port."""
    ports = [{"number": port, "name": "http", "protocol": "HTTP"}]
    return made("ServiceEntry", name, {"hosts": [name], "ports": ports, "resolution": "STATIC"}, **metadata)


def route(name: str, host: str = "", subset: str = "", **metadata: Any) -> AnyObject:
    """A VirtualService that sends all of a host to itself or to a subset of it."""
    destination = {"host": host or name, **({"subset": subset} if subset else {})}
    return made(
        "VirtualService",
        name,
        {"hosts": [host or name], "http": [{"route": [{"destination": destination}]}]},
        **metadata,
    )


def rule(name: str, *subsets: str, **metadata: Any) -> AnyObject:
    """A DestinationRule that defines subsets by version."""
    named = [{"name": subset, "labels": {"version": subset}} for subset in subsets]
    return made("DestinationRule", name, {"host": name, "subsets": named}, **metadata)


async def apply(intents: Intents, *objects: AnyObject, now: str = NOW) -> Applied:
    """Applies objects, which must be accepted."""
    applied = await intents.apply(objects, now=now)
    assert applied.accepted, applied.problems
    return applied


async def take(changes: AsyncIterator[IntentChange], count: int) -> list[IntentChange]:
    """The next changes, within the deadline."""
    async with asyncio.timeout(DEADLINE):
        return [await anext(changes) for _ in range(count)]


def refs(objects: Iterable[AnyObject]) -> list[ObjectRef]:
    """What they are called."""
    return [obj.ref for obj in objects]


def texts(problems: Iterable[Problem]) -> list[str]:
    """Problems as people read them."""
    return [str(problem) for problem in problems]
