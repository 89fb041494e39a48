"""Service account tokens that a cluster looks at, against a small server that speaks TokenReview over TLS."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.ca.making import DAY, REVIEWS, root
from tests.ca.test_service_accounts import AUDIENCE, CLAIMS, token
from tests.lab.echo import ended
from xdsd.ca.authority import CaError
from xdsd.ca.issuer import Request, bundle, issue
from xdsd.ca.keys import new_key, private_pem
from xdsd.ca.service_accounts import InvalidAccountToken
from xdsd.ca.token_review import ReviewSettings, ReviewUnavailable, TokenReviewer, check_files

NOW = datetime.now(UTC)
CA = root(now=NOW)
LIVING: dict[str, Any] = {**CLAIMS, "exp": int((NOW + timedelta(hours=1)).timestamp())}
GOOD = {
    "authenticated": True,
    "user": {"username": "system:serviceaccount:shop:reviews", "groups": ["system:serviceaccounts"]},
    "audiences": [AUDIENCE],
}


@dataclass
class Api:
    """A cluster's API; ``answer`` makes a code and a body of what was asked."""

    answer: Callable[[dict[str, Any]], tuple[int, Any]] = lambda asked: (201, {**asked, "status": GOOD})
    asked: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != "Bearer of-the-daemon":
            return web.json_response({"kind": "Status", "message": "Unauthorized"}, status=401)
        self.asked.append(await request.json())
        code, said = self.answer(self.asked[-1])
        return web.json_response(said, status=code) if not isinstance(said, str) else web.Response(text=said)


@asynccontextmanager
async def reviewing(folder: Path, api: Api) -> AsyncIterator[TokenReviewer]:
    """While it answers."""
    key = new_key()
    made = issue(CA, Request(key.public_key(), REVIEWS, DAY, NOW, 5, ("k",), (ip_address("127.0.0.1"),)))
    own = folder / "api.pem"
    own.write_bytes(private_pem(key) + made.chain)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(own)
    app = web.Application()
    app.router.add_post("/apis/authentication.k8s.io/v1/tokenreviews", api.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    (folder / "ca.pem").write_bytes(bundle(CA.chain))
    (folder / "token").write_text("of-the-daemon\n")
    api.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield TokenReviewer(ReviewSettings(api.url, folder / "token", folder / "ca.pem", AUDIENCE))
    finally:
        await ended(runner)


async def test_the_cluster_says_whose_a_token_is(tmp_path: Path) -> None:
    """It is asked for the audience, with the daemon's own token; when the token expires, it says itself."""
    api = Api()
    async with reviewing(tmp_path, api) as reviewer:
        text = token(claims=LIVING)
        account = await reviewer.review(text, NOW)
        assert (account.namespace, account.name) == ("shop", "reviews")
        assert account.expires == datetime.fromtimestamp(LIVING["exp"], UTC)
        assert text not in repr(account)
        (asked,) = api.asked
        assert asked["kind"] == "TokenReview"
        assert asked["spec"] == {"token": text, "audiences": [AUDIENCE]}


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ({"authenticated": False, "error": "no"}, "does not know"),
        ({}, "does not know"),
        ({**GOOD, "authenticated": "true"}, "does not know"),
        ({**GOOD, "audiences": ["other"]}, "not for the audience"),
        ({**GOOD, "audiences": None}, "not for the audience"),
        ({**GOOD, "user": {"username": "admin"}}, "not of a service account"),
        ({**GOOD, "user": "system:serviceaccount:a:b"}, "not of a service account"),
    ],
)
async def test_what_the_cluster_does_not_vouch_for_proves_nothing(
    status: dict[str, Any], why: str, tmp_path: Path
) -> None:
    """A token that is not of a service account, for another audience or not known to it."""
    async with reviewing(tmp_path, Api(lambda asked: (201, {**asked, "status": status}))) as reviewer:
        with pytest.raises(InvalidAccountToken, match=why):
            await reviewer.review(token(claims=LIVING), NOW)


async def test_what_has_expired_is_not_asked_about(tmp_path: Path) -> None:
    """Nor is what is no token."""
    api = Api()
    async with reviewing(tmp_path, api) as reviewer:
        for text in (token(claims={**LIVING, "exp": 1}), token(claims={"sub": "x"}), "a.b.c", "x"):
            with pytest.raises(InvalidAccountToken):
                await reviewer.review(text, NOW)
    assert api.asked == []


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((403, {"message": "may not create tokenreviews"}), "answered 403: may not create tokenreviews"),
        ((500, ""), "answered 200|no TokenReview"),
        ((307, {}), "answered 307"),
        ((201, {"status": []}), "no TokenReview"),
        ((201, []), "no TokenReview"),
        ((201, "{{"), "no TokenReview"),
    ],
)
async def test_a_cluster_that_cannot_say_lets_nobody_in(
    answer: tuple[int, Any], why: str, tmp_path: Path
) -> None:
    """It is told apart from a token that is wrong, so that whoever asks tries again."""
    async with reviewing(tmp_path, Api(lambda _: answer)) as reviewer:
        with pytest.raises(ReviewUnavailable, match=why):
            await reviewer.review(token(claims=LIVING), NOW)


async def test_the_daemons_own_files_are_needed(tmp_path: Path) -> None:
    """A token that the cluster does not take, an authority that is another's, a cluster that is away: each is told."""
    api = Api()
    async with reviewing(tmp_path, api) as reviewer:
        for content in ("of-nobody", "two words", ""):
            (tmp_path / "token").write_text(content)
            with pytest.raises(ReviewUnavailable, match=r"answered 401: Unauthorized|does not hold a token"):
                await reviewer.review(token(claims=LIVING), NOW)
        (tmp_path / "token").write_text("of-the-daemon")
        (tmp_path / "ca.pem").write_bytes(bundle(root(now=NOW).chain))
        with pytest.raises(
            ReviewUnavailable, match="cannot be asked: its certificate is not of kubernetes-api-ca"
        ):
            await reviewer.review(token(claims=LIVING), NOW)
        (tmp_path / "ca.pem").unlink()
        with pytest.raises(ReviewUnavailable, match="cannot be read"):
            await reviewer.review(token(claims=LIVING), NOW)
    settings = ReviewSettings(api.url, tmp_path / "token", tmp_path / "ca.pem", AUDIENCE)
    with pytest.raises(CaError, match=r"kubernetes-api-ca .* cannot be read"):
        check_files(settings)
    (tmp_path / "ca.pem").write_bytes(bundle(CA.chain))
    check_files(settings)
    with pytest.raises(ReviewUnavailable, match="cannot be asked"):
        await TokenReviewer(settings).review(token(claims=LIVING), NOW)
