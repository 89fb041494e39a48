"""Keys of issuers: from where they may be had, and what is believed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest
from aiohttp import web
from structlog import get_logger
from structlog.testing import capture_logs

from tests.lab.echo import ended
from tests.lab.tokens import TokenIssuer
from xdsd.jwks import Fetcher, FetchError, KeyKeeper, Reach
from xdsd.model.key_source import FetchedKeys, KeySource

HERE = Reach([ip_network("127.0.0.0/8")])
KEYS = TokenIssuer("here").jwks
OTHERS = TokenIssuer("other").jwks


@asynccontextmanager
async def site(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """A server that answers everything so; yields its address."""
    runner = web.AppRunner(web.Application(client_max_size=1 << 20))
    runner.app.router.add_route("*", "/{path:.*}", handler)
    await runner.setup()
    server = web.TCPSite(runner, "127.0.0.1", 0)
    await server.start()
    port = runner.addresses[0][1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await ended(runner)


def at(url: str, *, discover: bool = False, timeout: float = 60.0) -> KeySource:
    return KeySource(url, discover, timeout)


async def test_keys_are_fetched_as_they_are() -> None:
    """Of an address that may be asked."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=KEYS)

    async with site(answer) as url:
        assert await Fetcher(HERE).fetch(at(f"{url}/keys")) == KEYS


async def test_an_issuers_configuration_names_its_keys() -> None:
    """As OpenID Connect has it."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/.well-known/openid-configuration":
            return web.json_response({"jwks_uri": f"http://{request.host}/keys"})
        return web.Response(text=KEYS)

    async with site(answer) as url:
        found = await Fetcher(HERE).fetch(at(f"{url}/.well-known/openid-configuration", discover=True))
        assert found == KEYS


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "192.168.0.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "fe80::1",
        "fd00::1",
        "::ffff:127.0.0.1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "192.0.0.192",
        "192.88.99.1",
        "fec0::1",
    ],
)
def test_only_public_addresses_may_be_asked(address: str) -> None:
    """In whatever form an address within is written."""
    assert not Reach().covers(address)
    assert Reach().covers("1.1.1.1")
    assert Reach().covers("2606:4700::1111")
    assert HERE.covers("127.0.0.1")


async def test_what_leads_inside_is_not_followed() -> None:
    """Neither by name, nor as an address, nor by a redirection or a configuration that names one."""
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        if request.path == "/away":
            raise web.HTTPFound("http://169.254.169.254/latest/meta-data")
        return web.json_response({"jwks_uri": "http://10.0.0.1/keys"})

    async with site(answer) as url:
        port = url.rpartition(":")[2]
        for outside in (f"http://localhost:{port}/keys", f"{url}/keys"):
            with pytest.raises(FetchError, match="not public; name its network in --jwks-networks"):
                await Fetcher(Reach()).fetch(at(outside))
        assert asked == []
        with pytest.raises(FetchError, match=r"169\.254\.169\.254, which is not public"):
            await Fetcher(HERE).fetch(at(f"{url}/away"))
        with pytest.raises(FetchError, match=r"10\.0\.0\.1, which is not public"):
            await Fetcher(HERE).fetch(at(f"{url}/x", discover=True))


async def test_what_is_no_set_of_keys_is_refused() -> None:
    """Nor what is too long, late, or an error."""
    bodies = {
        "/html": "<html>",
        "/none": '{"keys": []}',
        "/long": "x" * (1 << 20),
        "/private": KEYS.replace('"x"', '"d": "AA", "x"'),
    }

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/round":
            raise web.HTTPFound("/round")
        if request.path == "/late":
            await asyncio.sleep(5)
        return web.Response(text=bodies.get(request.path, ""), status=200 if request.path in bodies else 503)

    async with site(answer) as url:
        for path, why in (
            ("/html", "is no JSON"),
            ("/none", "holds no key"),
            ("/long", "more than"),
            ("/private", "holds a private part"),
            ("/away", "answers with 503"),
            ("/round", "leads elsewhere more than 5 times"),
        ):
            with pytest.raises(FetchError, match=why):
                await Fetcher(HERE).fetch(at(url + path))
        with pytest.raises(FetchError, match=r"did not answer in 0\.2 seconds"):
            await Fetcher(HERE).fetch(at(f"{url}/late", timeout=0.2))


class Script:
    """Answers in their order, the last one for ever."""

    def __init__(self, *answers: str | FetchError) -> None:
        self._answers = list(answers)

    async def fetch(self, source: KeySource) -> str:
        del source
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, FetchError):
            raise answer
        return answer


async def _told(
    fetcher: Script, folder: Path, until: Callable[[list[FetchedKeys]], bool]
) -> list[FetchedKeys]:
    found: list[FetchedKeys] = []
    enough = asyncio.Event()

    def take(_: str, keys: FetchedKeys) -> None:
        found.append(keys)
        if until(found):
            enough.set()

    keeper = KeyKeeper(fetcher, folder, get_logger(), refresh=0.01)
    for url, keys in keeper.want([at("https://issuer.example/keys")]).items():
        take(url, keys)
    with capture_logs():
        task = asyncio.create_task(keeper.run(take))
        async with asyncio.timeout(60):
            await enough.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return found


async def test_keys_are_renewed_and_the_last_ones_hold(tmp_path: Path) -> None:
    """New keys are told; while the source is away the last ones stay, also over a restart."""
    away = FetchError("is away")
    found = await _told(Script(KEYS, OTHERS, away), tmp_path, lambda told: bool(told[-1].fault))
    assert found[0] == FetchedKeys(KEYS)
    assert FetchedKeys(OTHERS) in found
    assert found[-1] == FetchedKeys(OTHERS, "is away")
    again = await _told(Script(away), tmp_path, lambda told: len(told) > 1)
    assert again[0] == FetchedKeys(OTHERS)
    assert again[1] == FetchedKeys(OTHERS, "is away")
