"""Kubernetes service account tokens that the cluster itself looks at: TokenReview (authentication.k8s.io/v1).

Beside what the cluster's keys say, the cluster knows whether the account and the pod of a token are still there. What it
answers is believed as far as it was asked: for the audience, and of a service account. The token is in no error.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from ssl import SSLContext, create_default_context
from typing import Any

import aiohttp

from xdsd.answers import TooLarge, read_whole
from xdsd.ca.authority import CaError
from xdsd.ca.service_accounts import Account, InvalidAccountToken, account_of, credential_of, expiry_of

PATH = "/apis/authentication.k8s.io/v1/tokenreviews"
_TIMEOUT = 10.0
_AT_ONCE = 16
_LARGEST = 1 << 20
_LONGEST_TOKEN = 16 << 10
_SHOWN = 200


class ReviewUnavailable(Exception):  # noqa: N818 - it is named after what is the matter
    """The cluster could not be asked; the message says why."""


@dataclass(frozen=True, slots=True)
class ReviewSettings:
    """``url`` of the cluster's API without a path; ``token`` is the file of the daemon's own token, read each time, as it is
    replaced; ``ca`` holds the authorities (PEM) of the API's certificate.
    """

    url: str
    token: Path
    ca: Path
    audience: str


class TokenReviewer:
    """Asks one cluster."""

    def __init__(self, settings: ReviewSettings) -> None:
        self._settings = settings
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    async def review(self, text: str, now: datetime) -> Account:
        """Whose a token is. Raises InvalidAccountToken, ReviewUnavailable."""
        expires = expiry_of(text)
        if now >= expires:
            raise InvalidAccountToken(f"the service account token expired at {expires.isoformat()}")
        asked = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": text, "audiences": [self._settings.audience]},
        }
        async with self._at_once:
            status = await self._ask(asked)
        if status.get("authenticated") is not True:
            raise InvalidAccountToken("the cluster does not know the service account token, or no longer")
        if self._settings.audience not in (status.get("audiences") or ()):
            raise InvalidAccountToken(
                f"the service account token is not for the audience {self._settings.audience}"
            )
        user = status.get("user")
        namespace, name = account_of(user.get("username") if isinstance(user, Mapping) else None)
        return Account(namespace, name, expires, credential_of(text))

    async def _ask(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """The status of the answer."""
        token, context = await asyncio.to_thread(self._files)
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
        connector = aiohttp.TCPConnector(ssl=context)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, connector=connector, trust_env=False) as session,
                session.post(
                    self._settings.url + PATH,
                    json=asked,
                    headers={"Authorization": f"Bearer {token}"},
                    allow_redirects=False,
                ) as answer,
            ):
                content = await read_whole(answer, _LARGEST)
                code = answer.status
        except TimeoutError:
            raise ReviewUnavailable(f"the cluster did not answer within {_TIMEOUT:.0f} seconds") from None
        except TooLarge:
            raise ReviewUnavailable(f"the cluster's answer has more than {_LARGEST} bytes") from None
        except aiohttp.ClientError as error:
            raise ReviewUnavailable(f"the cluster cannot be asked: {_told(error)}") from None
        if code not in (200, 201):
            raise ReviewUnavailable(f"the cluster answered {code}: {_message(content)}")
        try:
            status = json.loads(content)["status"]
        except (ValueError, KeyError, TypeError, RecursionError):
            status = None
        if not isinstance(status, Mapping):
            raise ReviewUnavailable("the cluster's answer is no TokenReview")
        return status

    def _files(self) -> tuple[str, SSLContext]:
        settings = self._settings
        try:
            token = settings.token.read_bytes()[: _LONGEST_TOKEN + 1].decode("ascii").strip()
            context = create_default_context(cafile=settings.ca)
        except UnicodeDecodeError:
            token = ""
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise ReviewUnavailable(
                f"kubernetes-api-token-file or kubernetes-api-ca cannot be read: {why}"
            ) from error
        if not token or not token.isprintable() or " " in token or len(token) > _LONGEST_TOKEN:
            raise ReviewUnavailable("kubernetes-api-token-file does not hold a token")
        return token, context


def check_files(settings: ReviewSettings) -> None:
    """Raises CaError where a file that is needed cannot be read from the start."""
    for setting, path in (("kubernetes-api-token-file", settings.token), ("kubernetes-api-ca", settings.ca)):
        try:
            path.read_bytes()
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise CaError(f"{setting} {path} cannot be read: {why}") from error


def _told(error: aiohttp.ClientError) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return "its certificate is not of kubernetes-api-ca"
    if isinstance(error, aiohttp.ClientConnectorError):
        return (error.os_error.strerror or "it is not reached").lower()
    return str(error)[:_SHOWN]


def _message(content: bytes) -> str:
    """Kubernetes' own sentence, cut down."""
    try:
        said = json.loads(content)["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        said = ""
    return str(said)[:_SHOWN] or "no reason was given"
