"""Gateways that end TLS with credentials which the daemon keeps, as operators and callers see it."""

import json
import ssl
from pathlib import Path

import aiohttp
import grpc
import pytest

from tests.e2e.edges import EDGE, Edge, edge, server
from tests.e2e.limiting import limit
from tests.lab.certificates import Authority, Pair
from tests.lab.etcd import run
from tests.lab.eventually import eventually
from tests.lab.load import Load
from tests.server.client import DELTA, Call
from tests.server.secure import connected
from xdsd.snapshot import SECRET

pytestmark = pytest.mark.e2e

_IN_EDGE = {"metadata": {"name": "each", "namespace": "edge"}}


async def test_a_gateway_shows_each_caller_the_certificate_of_its_host(tmp_path: Path) -> None:
    """Two hosts on one port have a certificate each, a server whose secret is missing is closed alone and says so, plain
    HTTP is sent to HTTPS, and a rotation reaches callers without a failed request.
    """
    async with edge(tmp_path) as here:
        first, second = (
            here.authority.issue(name, f"DNS:{name}.example.com") for name in ("first", "second")
        )
        assert 'secret "edge/first" created' in await here.secret("first", first)
        await here.servers(
            server(here.https, "first", ["first.example.com"], mode="SIMPLE", credentialName="first"),
            server(here.https, "second", ["second.example.com"], mode="SIMPLE", credentialName="second"),
            server(here.http, "plain", ["first.example.com"], "HTTP", httpsRedirect=True),
        )

        async def opened() -> None:
            status, names, text = await here.ask("first.example.com")
            assert (status, names) == (200, ["first.example.com"]), text

        await eventually(opened, "the first host is served")
        await _staple(here, first)
        assert await here.refused("second.example.com")
        told = await here.daemon.xdsctl("problems")
        assert "there is no secret edge/second" in told, told

        await here.secret("second", second)

        async def both() -> None:
            assert (await here.ask("second.example.com"))[1] == ["second.example.com"]

        await eventually(both, "the second host is served too")
        await opened()
        await eventually(lambda: _redirects(here), "plain HTTP is sent to HTTPS")
        await _rotate(here)


async def _staple(here: Edge, pair: Pair) -> None:
    """A response that is given with a certificate is shown with it."""

    async def holds(said: str) -> None:
        where = ("-connect", f"{EDGE}:{here.https}", "-servername", "first.example.com")
        assert said in await run("openssl", "s_client", *where, "-status")

    await holds("OCSP response: no response sent")
    await here.secret("first", pair, "--replace", "--ocsp-staple", here.authority.staple(pair))
    await eventually(lambda: holds("OCSP Response Status: successful"), "the response is shown")


async def _redirects(here: Edge) -> None:
    plain, said = f"http://{EDGE}:{here.http}/a?b=c", {"host": "first.example.com"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(plain, headers=said, allow_redirects=False) as response,
    ):
        assert response.status == 301
        assert response.headers["location"] == "https://first.example.com/a?b=c"


async def _rotate(here: Edge) -> None:
    context = ssl.create_default_context(cafile=str(here.authority.cert))
    updates = "listener_manager.lds.update_success"
    before = await here.envoy.stat(updates)
    url = f"https://{EDGE}:{here.https}/"
    loads = [
        Load(
            url,
            headers={"host": "first.example.com"},
            tls=context,
            server_name="first.example.com",
            keep_alive=keep_alive,
            rate=40,
            concurrency=2,
        )
        for keep_alive in (True, False)
    ]
    async with loads[0], loads[1]:
        await loads[1].more(10)
        for number in range(3):
            again = here.authority.issue(
                f"again{number}", "DNS:first.example.com", f"DNS:again{number}.example.com"
            )
            assert "replaced" in await here.secret("first", again, "--replace")

            async def renewed(number: int = number) -> None:
                assert f"again{number}.example.com" in (await here.ask("first.example.com"))[1]

            await eventually(renewed, "the new certificate is shown")
            await loads[1].more(5)
    assert [each.tally.failed for each in loads] == [0, 0], [str(each.tally) for each in loads]
    assert await here.envoy.stat(updates) == before


async def test_callers_show_certificates_where_a_gateway_asks_for_them(tmp_path: Path) -> None:
    """MUTUAL lets in whom the credential's authorities vouch for, but for those that are revoked; OPTIONAL_MUTUAL those who
    show nothing too; a secret of another namespace, or of another account, opens nothing and is given to nobody.
    """
    async with edge(tmp_path) as here:
        shop = here.authority.issue("shop", "DNS:mutual.example.com", "DNS:optional.example.com")
        client, revoked = here.authority.issue("client"), here.authority.issue("revoked")
        stranger = Authority(tmp_path / "strangers", "stranger").issue("stranger")
        trust = ("--ca", here.authority.cert, "--crl", here.authority.revoke(revoked))
        await here.secret("shop", shop, *trust)
        await here.secret("bank", shop, namespace="bank")
        await here.secret("others", shop, "--service-account", "other")
        await here.servers(
            server(here.https, "mutual", ["mutual.example.com"], mode="MUTUAL", credentialName="shop"),
            server(
                here.https,
                "optional",
                ["optional.example.com"],
                mode="OPTIONAL_MUTUAL",
                credentialName="shop",
            ),
            server(here.https, "bank", ["bank.example.com"], mode="SIMPLE", credentialName="bank"),
            server(here.https, "others", ["others.example.com"], mode="SIMPLE", credentialName="others"),
        )

        async def opened() -> None:
            assert (await here.ask("mutual.example.com", client))[0] == 200

        await eventually(opened, "whom the authority vouches for is let in")
        for own in (None, revoked, stranger):
            assert await here.refused("mutual.example.com", own)
        assert (await here.ask("optional.example.com"))[0] == 200
        assert (await here.ask("optional.example.com", client))[0] == 200
        assert await here.refused("optional.example.com", stranger)
        told = await here.daemon.xdsctl("problems")
        assert "there is no secret edge/bank" in told, told
        assert "is not for the service account gateway, only for other" in told, told
        await _asks_in_vain(here)
        await _is_counted_by_name(here)


async def _asks_in_vain(here: Edge) -> None:
    """A proxy that asks for secrets by name gets its own, and no other's."""
    token = (here.folder / "edge.token").read_text().strip()
    trusted = grpc.ssl_channel_credentials((here.folder / "root.pem").read_bytes())
    others = [
        f"kubernetes://{name}" for name in ("bank", "bank-cacert", "others", "bank/bank", "../bank/bank")
    ]
    node = "router~127.0.0.9~thief.edge~edge.svc.cluster.local"
    async with connected(here.xds, trusted) as channel:
        call = Call(channel, DELTA, node, metadata=(("authorization", f"Bearer {token}"),))
        await call.asks(SECRET, "kubernetes://shop", *others)
        heard = await call.hears()
        assert [each.name for each in heard.resources] == ["kubernetes://shop"]
        assert sorted(heard.removed_resources) == sorted(others)
    assert f"xdsd_refused_secrets_total {len(others)}.0" in await here.daemon.metrics()


async def _is_counted_by_name(here: Edge) -> None:
    """A limit on each identity is kept by what certificates prove; who has none in theirs is not limited."""
    cart, till = (
        here.authority.issue(name, f"URI:spiffe://cluster.local/ns/shop/sa/{name}")
        for name in ("cart", "till")
    )
    rule = {"descriptors": [{"source": {}}], "limit": {"requests": 1, "unit": "DAY"}}
    spec = {"selector": {"matchLabels": {"app": "edge"}}, "local": [rule]}
    await here.daemon.xdsctl("apply", "-f", "-", text=json.dumps({**limit("each", spec), **_IN_EDGE}))

    async def limited() -> None:
        assert (await here.ask("mutual.example.com", cart))[0] == 429

    await eventually(limited, "the second request of one identity is over its limit")
    assert (await here.ask("mutual.example.com", till))[0] == 200
    assert (await here.ask("mutual.example.com", till))[0] == 429
    nobody = here.authority.issue("nobody")
    assert [(await here.ask("mutual.example.com", nobody))[0] for _ in range(2)] == [200, 200]
