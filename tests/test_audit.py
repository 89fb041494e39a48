"""Every write is one line of the log, without what may be a secret."""

import io
import json
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from storage.memory import MemoryStore
from tests.intents.objects import LATER, NOW, apply, entry, made
from xdsd.audit import _SECRET, HIDDEN, audit_log
from xdsd.intents import Author, Intents
from xdsd.model.intent import KINDS
from xdsd.settings import LogFormat, LogLevel
from xdsd.telemetry import make_logger

ALICE = Author("alice", "192.0.2.7:4000")


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def intents(log: io.StringIO) -> Intents:
    return Intents(MemoryStore(), audit=audit_log(make_logger(LogFormat.JSON, LogLevel.INFO, log)))


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    """The audit's lines."""
    return [line for text in log.getvalue().splitlines() if (line := json.loads(text))["event"] == "audit"]


async def test_apply_rollback_and_delete_are_a_line_each(intents: Intents, log: io.StringIO) -> None:
    """Who, from where, what, of which object, in which revision, before and after."""
    await intents.apply([entry()], now=NOW, author=ALICE)
    await intents.apply([entry(port=80)], now=NOW, author=ALICE)
    await intents.rollback(entry().ref, 2, now=LATER, author=Author("bob", "unix uid=0 pid=7"))
    await intents.delete([entry().ref], now=LATER, author=ALICE)
    created, changed, rolled, deleted = lines(log)
    assert {name: changed[name] for name in ("who", "origin", "verdict", "kind", "namespace", "name")} == {
        "who": "alice",
        "origin": "192.0.2.7:4000",
        "verdict": "configured",
        "kind": "ServiceEntry",
        "namespace": "default",
        "name": "reviews",
    }
    assert [line["revision"] for line in (created, changed, rolled, deleted)] == [2, 3, 4, 5]
    assert [line["rolled_back_to"] for line in (created, changed, rolled, deleted)] == [None, None, 2, None]
    assert (created["before"], deleted["after"], deleted["verdict"]) == (None, None, "deleted")
    assert changed["before"]["spec"]["ports"][0]["number"] == 9080
    assert changed["after"]["spec"]["ports"][0]["number"] == 80
    assert (rolled["who"], rolled["time"], rolled["level"]) == ("bob", LATER, "info")


async def test_each_object_of_a_write_has_its_line(intents: Intents, log: io.StringIO) -> None:
    """Also of hundreds, which are told aside from the event loop; what is not written has none."""
    await apply(intents, *(entry(f"e{number}") for number in range(100)))
    await apply(intents, entry("e1"))
    await intents.apply([entry("e1", port=80)], now=NOW, dry_run=True)
    await intents.apply([entry("e1", port=80, resourceVersion="1")], now=NOW)
    assert [line["name"] for line in lines(log)] == [f"e{number}" for number in range(100)]
    assert {line["revision"] for line in lines(log)} == {2}


async def test_secrets_are_left_out(intents: Intents, log: io.StringIO) -> None:
    """Wherever a name tells of one: headers that are set or matched, parameters, annotations; the rest is told."""
    rule = {
        "match": [
            {
                "uri": {"prefix": "/a"},
                "headers": {"authorization": {"exact": "Bearer hush-1"}, "x-user": {"exact": "jo"}},
                "queryParams": {"access_token": {"regex": "hush-2"}},
                "withoutHeaders": {"cookie": {"prefix": "hush-3"}},
            }
        ],
        "headers": {"request": {"set": {"X-API-Key": "hush-4", "x-plain": "seen"}, "remove": ["cookie"]}},
        "route": [{"destination": {"host": "a"}}],
    }
    text = json.dumps({"spec": {"set": {"Authorization": "hush-5"}}})
    await apply(
        intents,
        made(
            "VirtualService",
            "a",
            {"hosts": ["a"], "http": [rule]},
            annotations={
                "kubectl.kubernetes.io/last-applied-configuration": text,
                "db-password": "hush-6",
                "team": "blue",
            },
        ),
    )
    assert "hush" not in log.getvalue()
    (line,) = lines(log)
    assert line["after"]["metadata"]["annotations"]["team"] == "blue"
    told = line["after"]["spec"]["http"][0]
    assert told["match"][0]["headers"] == {"authorization": {"exact": HIDDEN}, "x-user": {"exact": "jo"}}
    assert told["headers"]["request"] == {
        "set": {"X-API-Key": HIDDEN, "x-plain": "seen"},
        "remove": ["cookie"],
    }


NAMES = (
    "x-jwt",
    "X-Jwt-Assertion",
    "proxy-authenticate",
    "Proxy-Extra",
    "x-session-id",
    "PHPSESSION",
    "x-amz-signature",
    "sig",
    "x-hub-sig-256",
    "pass",
    "db_pass",
    "passphrase",
    "x-api_key",
)


@pytest.mark.parametrize("name", NAMES)
async def test_names_of_secrets(intents: Intents, log: io.StringIO, name: str) -> None:
    """Sessions, signatures, passwords and what is for proxies, in headers, in parameters, and in those of paths."""
    rule = {
        "match": [
            {
                "uri": {"exact": f"/a?page=7&{name}=hush-1&lang=en"},
                "headers": {name.lower(): {"exact": "hush-2"}},
                "queryParams": {name: {"exact": "hush-3"}},
            },
            {"uri": {"regex": f"/b\\?{name}=hush-4.*"}},
        ],
        "headers": {"request": {"set": {name: "hush-5"}}},
        "route": [{"destination": {"host": "a"}}],
    }
    await apply(intents, made("VirtualService", "a", {"hosts": ["a"], "http": [rule]}))
    assert "hush" not in log.getvalue()
    (line,) = lines(log)
    first, second = line["after"]["spec"]["http"][0]["match"]
    assert first["uri"] == {"exact": f"/a?page=7&{name}={HIDDEN}&lang=en"}
    assert second["uri"]["regex"].startswith("/b\\?")


def test_no_field_is_taken_for_a_secret() -> None:
    """Names of fields in objects that are no secrets stay readable."""
    seen: set[type[BaseModel]] = set()
    for kind in KINDS.values():
        collect(kind.spec, seen)
    words = {field.alias or name for model in seen for name, field in model.model_fields.items()}
    assert {word for word in words if _SECRET.search(word)} == {
        "accessToken",
        "allowCredentials",
        "forwardOriginalToken",
        "httpCookie",
        "jwks",
        "privateKey",
        "privateKeyProvider",
    }


def collect(annotation: Any, seen: set[type[BaseModel]]) -> None:
    """A model and those in it. Any: annotations are of all kinds."""
    for argument in get_args(annotation):
        collect(argument, seen)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation not in seen:
        seen.add(annotation)
        for field in annotation.model_fields.values():
            collect(field.annotation, seen)
