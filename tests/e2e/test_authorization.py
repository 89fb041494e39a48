"""What policies decide, against what a real Envoy does: the two readings of the published rules agree."""

import asyncio
import os
import ssl
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from tests.authorization.callers import Answer, Connection, client_context
from tests.authorization.chance import DOMAINS, IDENTITIES, Call, Caller, Chance
from tests.authorization.guarded import Guarded, bootstrap
from tests.lab.certificates import Authority
from tests.lab.envoy import Envoy
from tests.lab.ports import free_ports
from tests.lab.tokens import TokenIssuer
from xdsd.authorization import Effect, Facts, Request, decide
from xdsd.authorization.deciding import policy_id
from xdsd.authorization.tokens import proven
from xdsd.compile.authorization.tokens import Issuer
from xdsd.manifest import parse_object
from xdsd.model.intent import Action, AuthorizationPolicy, JWTRule, Object
from xdsd.model.request_paths import normalized

pytestmark = pytest.mark.e2e

SETS = 64
CALLERS = 4
CALLS = 22
SEED = int(os.environ.get("XDSD_SEED", "20261121"))
ISSUERS = ("https://one.example", "https://two.example")


class Town:
    """Who is there: certificates and tokens."""

    def __init__(self, folder: Path) -> None:
        authority = Authority(folder)
        self.server = authority.issue("server", "DNS:localhost")
        self.trusted = authority.cert
        self.issuers = {name: TokenIssuer(name) for name in ISSUERS}
        self._stranger = TokenIssuer(ISSUERS[0])
        self.rules = [
            JWTRule(issuer=name, jwks=issuer.jwks, forward_original_token=True)
            for name, issuer in self.issuers.items()
        ]
        self.contexts: Mapping[str, ssl.SSLContext] = {
            peer: client_context(
                self.trusted, authority.issue(f"client-{index}", f"URI:{peer}") if peer else None
            )
            for index, peer in enumerate(IDENTITIES)
        }
        self._tokens: dict[str, str] = {}

    def token(self, call: Call) -> str:
        """The token of a call, or one that looks like it and does not hold."""
        claims = call.claims
        if claims is None:
            return ""
        key = repr((claims, call.bad))
        if key not in self._tokens:
            issuer = self._stranger if call.bad == "signature" else self.issuers[claims["iss"]]
            made = issuer.token({**claims, **({"exp": 1} if call.bad == "expired" else {})})
            self._tokens[key] = "garbage" if call.bad == "garbage" else made
        return self._tokens[key]


def _policies(chance: Chance, port: int) -> tuple[Object[AuthorizationPolicy], ...]:
    found = []
    for each in chance.policies(port):
        made = parse_object(each)
        assert not isinstance(made, list), [str(problem) for problem in made]
        found.append(made)
    return tuple(found)


def _facts(town: Town, caller: Caller, call: Call | None, where: Guarded) -> Facts | None:
    """What a call is in the eyes of policies; None for one that is refused before they see it."""
    request = None
    remote = caller.source
    if call is not None:
        path = normalized(call.target)
        if path is None:
            return None
        headers: dict[str, tuple[str, ...]] = {}
        for name, value in call.headers:
            headers[name.lower()] = (*headers.get(name.lower(), ()), value)
        forwarded = ",".join(headers.get("x-forwarded-for", ())).rpartition(",")[2].strip()
        remote = forwarded or remote
        host = call.host.removesuffix(".")
        request = Request(call.method, host, path, headers, proven(town.rules, call.claims))
    return Facts(
        peer=caller.peer,
        source=caller.source,
        remote=remote,
        destination=where.address,
        port=where.port,
        server_name=caller.server_name,
        request=request,
    )


def _expected(town: Town, caller: Caller, call: Call, where: Guarded) -> tuple[int, set[str]]:
    """The status, and the details that there may be."""
    facts = _facts(town, caller, call, where)
    if facts is None:
        return 400, {"path_normalization_failed"}
    if call.bad and call.claims is not None:
        return 401, {"jwt_authn_access_denied"}
    decision = decide(where.policies, facts, domains=DOMAINS)
    if decision.effect is Effect.ALLOW:
        return 200, {"direct_response"}
    named = policy_id(decision.by.policy, decision.by.rule) if decision.by else "none"
    return 403, {f"rbac_access_denied_matched_policy[{named}]"}


def _tried(town: Town, caller: Caller, call: Call, where: Guarded, answer: Answer) -> set[str]:
    """What rules of dry runs should have said, where they did not; of requests that pass, since refusals leave before."""
    facts = _facts(town, caller, call, where)
    if facts is None or answer.status != 200:
        return set()
    found = decide(where.policies, facts, domains=DOMAINS)
    words = answer.body.split(" ")
    missed = set()
    for action, word in zip((Action.DENY, Action.ALLOW), words[1:], strict=False):
        wanted = sorted(policy_id(each.policy, each.rule) for each in found.tried if each.action is action)
        if word != (wanted[0] if wanted else "-") and call.method != "HEAD":
            missed.add(f"dry run of {action}: {wanted}")
    return missed


def _difference(town: Town, caller: Caller, call: Call, where: Guarded, answer: Answer) -> str:
    status, details = _expected(town, caller, call, where)
    told = answer.body.split(" ")[0].partition("{")[0]
    tried = _tried(town, caller, call, where, answer)
    if status == answer.status and (call.method == "HEAD" or (told in details and not tried)):
        return ""
    details.update(tried)
    policies = [(each.spec.action, each.spec.model_dump(exclude_defaults=True)) for each in where.policies]
    return f"{caller}\n{call}\nexpected {status} {details}, got {answer}\n{policies}"


async def _ask_all(town: Town, where: Guarded, caller: Caller, calls: Sequence[Call]) -> list[str]:
    context = town.contexts[caller.peer]
    found = []
    async with Connection(
        where.address, where.port, context, caller.source, caller.server_name
    ) as connection:
        for call in calls:
            answer = await connection.ask(call, town.token(call))
            found.append(_difference(town, caller, call, where, answer))
    return [each for each in found if each]


async def _connect(town: Town, where: Guarded, caller: Caller) -> str:
    facts = _facts(town, caller, None, where)
    assert facts is not None
    decision = decide(where.policies, facts, domains=DOMAINS)
    context = town.contexts[caller.peer]
    async with Connection(
        where.address, where.port, context, caller.source, caller.server_name
    ) as connection:
        said = await connection.say(b"hello")
    if (said == b"hello") == (decision.effect is Effect.ALLOW):
        return ""
    policies = [(each.spec.action, each.spec.model_dump(exclude_defaults=True)) for each in where.policies]
    return f"{caller}\nexpected {decision}, got {said!r}\n{policies}"


def _is_ipv6(where: Guarded) -> bool:
    return ip_address(where.address).version == 6


def test_envoy_does_what_policies_say(tmp_path: Path) -> None:
    """Of more than 5,000 random calls under random policies none is decided otherwise, and each denial names its rule."""
    chance, town = Chance(SEED), Town(tmp_path)
    addresses = ["::1" if index % 8 == 7 else "127.0.0.1" for index in range(SETS)]
    ports = free_ports(2 * SETS)
    sites = []
    for address, port, raw in zip(addresses, ports[:SETS], ports[SETS:], strict=True):
        sites.append(Guarded(address, port, _policies(chance, port)))
        sites.append(Guarded(address, raw, _policies(chance, raw), http=False))
    config: dict[str, Any] = bootstrap(
        sites,
        server=town.server,
        trusted=town.trusted,
        issuers=[Issuer(rule, rule.jwks or "") for rule in town.rules],
        domains=DOMAINS,
    )

    async def run() -> tuple[int, list[str]]:
        count, found = 0, []
        async with Envoy(config, tmp_path, log_level="warning"):
            for where in sites:
                for _ in range(CALLERS):
                    caller = chance.caller(ipv6=_is_ipv6(where))
                    if not where.http:
                        count += 1
                        found.append(await _connect(town, where, caller))
                        continue
                    calls = [chance.call() for _ in range(CALLS)]
                    count += len(calls)
                    found += await _ask_all(town, where, caller, calls)
        return count, [each for each in found if each]

    count, differences = asyncio.run(run())
    assert not differences, f"{len(differences)} of {count}\n" + "\n\n".join(differences[:5])
    assert count >= 5000
