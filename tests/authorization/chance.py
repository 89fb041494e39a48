"""Random policies and requests, of few words so that they often meet."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

IDENTITIES = (
    "",
    "spiffe://cluster.local/ns/default/sa/web",
    "spiffe://cluster.local/ns/team-a/sa/api",
    "spiffe://old.example/ns/default/sa/web",
    "spiffe://other.example/ns/default/sa/web",
    "spiffe://cluster.local/ns/default-2/sa/web.v2",
)
DOMAINS = ("cluster.local", "old.example")
PRINCIPALS = (
    "*",
    "cluster.local/ns/default/sa/web",
    "old.example/ns/default/sa/web",
    "other.example/ns/default/sa/web",
    "cluster.local/ns/default/*",
    "cluster.local/ns/*",
    "*/sa/web",
    "*.example/ns/default/sa/web",
    "*/ns/team-a/sa/api",
    "*web",
    "cluster.local/ns/default/sa/web.v2",
)
NAMESPACES = ("default", "default*", "*-a", "team-a", "*", "nowhere")
ACCOUNTS = ("web", "api", "team-a/api", "default/web", "default-2/web.v2")
TRUST_DOMAINS = ("cluster.local", "other.example", "*.example", "old*", "*")
BLOCKS = ("127.0.0.1", "127.0.0.0/8", "127.1.0.0/16", "192.0.2.0/24", "10.0.0.7", "::1", "2001:db8::/32")
SOURCES = ("127.0.0.1", "127.1.2.3", "127.9.9.9")
FORWARDED = ("", "192.0.2.9", "10.0.0.7, 192.0.2.1", "2001:db8::5", "10.0.0.7")
HOSTS = ("a.example", "A.Example", "b.example:8080", "a.example.", "x.a.example", "localhost")
HOST_PATTERNS = ("a.example", "*.example", "A.EXAMPLE", "b.example:*", "*", "*.a.example", "local*")
METHODS = ("GET", "POST", "PUT", "HEAD", "LOCK", "PATCH")
METHOD_PATTERNS = ("GET", "POST", "P*", "*T", "*", "LO*")
PATHS = (
    "/",
    "//",
    "/admin",
    "/Admin",
    "//admin",
    "/./admin",
    "/x/../admin",
    "/%2fadmin",
    "/%2Fadmin",
    "/%61dmin",
    "/x/%2e%2e%2fadmin",
    "/x%5c..%5Cadmin",
    "/admin/",
    "/admin/.",
    "/admin.",
    "/admin..",
    "/admin;x",
    "/admin?x=/public",
    "/admin%20",
    "/admin%3fx",
    "/admin%252fx",
    "/public",
    "/public/a",
    "/public//a",
    "/public/../admin/a",
    "/public/%2e%2e/admin/a",
    "/public/a/b/c",
    "/public/a*b/c",
    "/public/a=b/c",
    "/books/1/reviews",
    "/books//reviews",
    "/books/1/2/reviews",
    "/books/1/reviews/",
    "/books/%31/reviews",
    "/a%00b",
    "/admin#x",
    '/a"b',
)
PATH_PATTERNS = (
    "/",
    "/admin",
    "/admin*",
    "/admin/*",
    "*/a",
    "*",
    "/public/*",
    "*admin",
    "/books/{*}/reviews",
    "/books/{**}",
    "/{*}/a",
    "/{**}/reviews",
    "/public/{*}/{**}",
    "/admin.",
)
USERS = ("", "alice", "bob", "admin", "Alice", "alice,bob")
USER_PATTERNS = ("alice", "a*", "*b", "*", "bob")
SERVER_NAMES = ("", "a.example", "b.test")
SERVER_PATTERNS = ("a.example", "*.test", "*", "b*")
TOKEN_PRINCIPALS: tuple[str, ...] = (
    "*",
    "https://one.example/alice",
    "https://one.example/*",
    "*/bob",
    "two*",
    "https://two.example/a*",
)
TOKEN_PRINCIPALS += ("https://one.example/team/alice", "*alice")
CLAIMS: tuple[dict[str, Any] | None, ...] = (
    None,
    None,
    {"iss": "https://one.example", "sub": "alice", "aud": "books", "groups": ["staff", "admin"]},
    {"iss": "https://one.example", "sub": "bob", "aud": ["books", "films"], "groups": "staff", "azp": "app"},
    {"iss": "https://two.example", "sub": "alice", "realm": {"roles": ["guest", "admin"], "name": "main"}},
    {"iss": "https://two.example", "sub": "team/alice", "scope": "read write", "level": 5, "groups": []},
    {"iss": "https://one.example", "sub": "team/alice", "aud": "films", "groups": {"staff": "yes"}},
)
WHEN = (
    ("request.headers[X-User]", USER_PATTERNS),
    ("request.headers[x-user]", USER_PATTERNS),
    ("request.auth.principal", TOKEN_PRINCIPALS),
    ("request.auth.audiences", ("books", "f*", "*")),
    ("request.auth.presenter", ("app", "*")),
    ("request.auth.claims[groups]", ("staff", "admin", "*", "st*")),
    ("request.auth.claims[realm][roles]", ("admin", "g*")),
    ("request.auth.claims[realm][name]", ("main", "*")),
    ("request.auth.claims[scope]", ("write", "read write")),
    ("request.auth.claims[level]", ("5",)),
    ("source.ip", BLOCKS),
    ("remote.ip", BLOCKS),
    ("destination.ip", ("127.0.0.0/8", "10.0.0.0/8", "::1")),
    ("source.namespace", NAMESPACES),
    ("source.principal", PRINCIPALS),
    ("connection.sni", SERVER_PATTERNS),
)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A request as a client sends it; ``bad`` is a token that does not hold: signed by another, over, or broken."""

    method: str
    target: str
    host: str
    headers: tuple[tuple[str, str], ...] = ()
    claims: Json | None = field(default=None, hash=False)
    bad: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Where calls come from."""

    peer: str
    source: str
    server_name: str


class Chance:
    """Makes up policies and calls; the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def policies(self, port: int) -> list[Json]:
        """Objects that are all for one workload, at this port."""
        count = self._random.choice((1, 1, 2, 2, 3, 4))
        return [self._policy(index, port) for index in range(count)]

    def caller(self, *, ipv6: bool) -> Caller:
        source = "::1" if ipv6 else self._random.choice(SOURCES)
        return Caller(self._random.choice(IDENTITIES), source, self._random.choice(SERVER_NAMES))

    def call(self) -> Call:
        pick = self._random.choice
        headers: list[tuple[str, str]] = []
        user, forwarded = pick(USERS), pick(FORWARDED)
        if user:
            headers += [(pick(("X-User", "x-user", "X-USER")), each) for each in user.split(",")]
        if forwarded:
            headers.append(("X-Forwarded-For", forwarded))
        bad = pick(("signature", "expired", "garbage")) if self._random.random() < 0.03 else ""
        return Call(pick(METHODS), pick(PATHS), pick(HOSTS), tuple(headers), pick(CLAIMS), bad)

    def _policy(self, index: int, port: int) -> Json:
        action = self._random.choice(("ALLOW", "ALLOW", "DENY"))
        tried = self._random.random() < 0.15
        rules = [self._rule(port) for _ in range(self._random.choice((1, 1, 2, 3)))]
        if action == "ALLOW" and self._random.random() < 0.05:
            rules = []
        return {
            "apiVersion": "security.istio.io/v1",
            "kind": "AuthorizationPolicy",
            "metadata": {
                "name": f"p{index}",
                "namespace": "default",
                "annotations": {"istio.io/dry-run": "true"} if tried else {},
            },
            "spec": {"action": action, "rules": rules},
        }

    def _rule(self, port: int) -> Json:
        rule: Json = {}
        if self._random.random() < 0.5:
            rule["from"] = [{"source": self._source()} for _ in range(self._random.choice((1, 1, 2)))]
        if self._random.random() < 0.7:
            rule["to"] = [{"operation": self._operation(port)} for _ in range(self._random.choice((1, 1, 2)))]
        if self._random.random() < 0.4:
            rule["when"] = [self._condition(port) for _ in range(self._random.choice((1, 1, 2)))]
        return rule

    def _source(self) -> Json:
        accounts = self._random.random() < 0.15
        fields: list[tuple[str, Sequence[str]]] = [
            ("requestPrincipals", TOKEN_PRINCIPALS),
            ("trustDomains", TRUST_DOMAINS),
            ("ipBlocks", BLOCKS),
            ("remoteIpBlocks", BLOCKS),
        ]
        if accounts:
            fields.append(("serviceAccounts", ACCOUNTS))
        else:
            fields += [("principals", PRINCIPALS), ("namespaces", NAMESPACES)]
        return self._fields(fields)

    def _operation(self, port: int) -> Json:
        return self._fields(
            [
                ("hosts", HOST_PATTERNS),
                ("methods", METHOD_PATTERNS),
                ("paths", PATH_PATTERNS),
                ("paths", PATH_PATTERNS),
                ("ports", (str(port), "1")),
            ]
        )

    def _fields(self, known: list[tuple[str, Sequence[str]]]) -> Json:
        found: Json = {}
        for name, values in self._random.sample(known, self._random.choice((1, 1, 2))):
            negated = self._random.random() < 0.25
            key = "not" + name[0].upper() + name[1:] if negated else name
            found[key] = self._some(values)
        return found

    def _condition(self, port: int) -> Json:
        key, values = self._random.choice((*WHEN, ("destination.port", (str(port), "1"))))
        name = "notValues" if self._random.random() < 0.25 else "values"
        return {"key": key, name: self._some(values)}

    def _some(self, values: Sequence[str]) -> list[str]:
        return sorted(set(self._random.choices(values, k=self._random.choice((1, 1, 2, 3)))))
