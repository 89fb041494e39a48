"""Who may read and write which keys."""

import pytest

from api.access.caller import Binding, Caller, Method, Refused, Role
from api.services.etcd.policy import KeyPolicy
from storage.base import prefix_end
from storage.spans import Span

KIND = b"/xdsd/objects/virtualservices.networking.istio.io/"
POLICY = KeyPolicy((b"/app/",))
SHARED = KeyPolicy((b"/app/",), alone=False)


def caller(role: Role, *namespaces: str) -> Caller:
    return Caller("alice", Method.TOKEN, bindings=(Binding(role, frozenset(namespaces)),))


def below(prefix: bytes) -> Span:
    return Span.of(prefix, prefix_end(prefix))


def may(policy: KeyPolicy, who: Caller, span: Span) -> tuple[bool, bool]:
    """Whether a caller may read, and write."""
    found = []
    for check in (policy.check_read, policy.check_write):
        try:
            check(who, span)
            found.append(True)
        except Refused:
            found.append(False)
    return found[0], found[1]


@pytest.mark.parametrize(
    ("role", "namespaces", "span", "expected"),
    [
        (Role.VIEWER, (), Span.of(KIND + b"a/x", None), (True, False)),
        (Role.EDITOR, (), Span.of(KIND + b"a/x", None), (True, True)),
        (Role.EDITOR, ("a",), Span.of(KIND + b"a/x", None), (True, True)),
        (Role.EDITOR, ("a",), below(KIND + b"a/"), (True, True)),
        (Role.EDITOR, ("a",), below(KIND + b"a"), (False, False)),
        (Role.EDITOR, ("a",), Span.of(KIND + b"b/x", None), (False, False)),
        (Role.EDITOR, ("a",), below(KIND), (False, False)),
        (Role.EDITOR, ("a",), Span.of(KIND + b"a/", KIND + b"b0"), (False, False)),
        (Role.EDITOR, (), below(b"/xdsd/objects/"), (True, True)),
        (Role.EDITOR, (), below(b"/xdsd/history/"), (True, False)),
        (Role.EDITOR, (), below(b"/xdsd/members/"), (True, False)),
        (Role.EDITOR, (), below(b"/xdsd/access/"), (False, False)),
        (Role.EDITOR, (), below(b"/xdsd/"), (False, False)),
        (Role.EDITOR, (), below(b"/app/"), (True, True)),
        (Role.VIEWER, (), below(b"/app/"), (True, False)),
        (Role.VIEWER, (), Span.of(b"health", None), (True, False)),
        (Role.VIEWER, (), below(b"/other/"), (False, False)),
        (Role.ADMIN, (), below(b"/xdsd/"), (True, False)),
        (Role.ADMIN, (), below(b"/xdsd/more/"), (True, True)),
        (Role.EDITOR, (), below(b"/xdsd/more/"), (False, False)),
        (Role.ADMIN, ("a",), below(b"/xdsd/access/"), (False, False)),
    ],
)
def test_rights_follow_the_prefix(
    role: Role, namespaces: tuple[str, ...], span: Span, expected: tuple[bool, bool]
) -> None:
    """And the namespace, where the whole range is in it."""
    assert may(POLICY, caller(role, *namespaces), span) == expected
    assert may(SHARED, caller(role, *namespaces), span) == expected


def test_an_admin_reads_all_of_a_store_of_ours() -> None:
    """Where others keep keys in the same etcd, ours alone, and those that are configured."""
    everything = Span.of(b"\0", b"\0")
    assert may(POLICY, caller(Role.ADMIN), everything) == (True, False)
    assert may(SHARED, caller(Role.ADMIN), everything) == (False, False)
    with pytest.raises(
        Refused, match=r"alice may not use keys beside /xdsd/ \(/other/x\); name their prefix"
    ):
        POLICY.check_write(caller(Role.ADMIN), Span.of(b"/other/x", None))


@pytest.mark.parametrize(
    ("span", "put", "removal", "sentence"),
    [
        (
            Span.of(b"/xdsd/access/users/eve", None),
            False,
            False,
            "changed by `xdsctl user` and `xdsctl role`",
        ),
        (Span.of(b"/xdsd/ca/roots", None), False, False, "`xdsctl cert`"),
        (below(b"/xdsd/history/"), False, False, "`xdsctl history`"),
        (Span.of(b"/xdsd/meta/history", None), False, False, "`xdsctl history`"),
        (Span.of(b"/xdsd/status/a", None), False, True, "`xdsctl problems`"),
        (Span.of(b"/xdsd/members/1", None), False, True, "`xdsctl member list`"),
        (below(b"/xdsd/singletons/"), False, True, "`xdsctl status`"),
        (below(b"/xdsd/"), False, False, "keys below /xdsd/access/ are not"),
        (Span.of(b"/xdsd/a", b"/xdsd/access/users/b"), False, False, "keys below /xdsd/access/ are not"),
        (Span.of(b"/xdsd/accessories", None), True, True, ""),
    ],
)
def test_what_daemons_write_is_theirs(span: Span, put: bool, removal: bool, sentence: str) -> None:
    """Not even admins write it past them; what daemons would write again anyway may be removed."""
    for expected, removing in ((put, False), (removal, True)):
        if expected:
            POLICY.check_write(caller(Role.ADMIN), span, removal=removing)
            continue
        with pytest.raises(Refused, match=sentence):
            POLICY.check_write(caller(Role.ADMIN), span, removal=removing)


@pytest.mark.parametrize(
    "start", [b"/xdsd/objects", b"/xdsd/history", KIND + b"a"], ids=["objects", "history", "namespace"]
)
def test_a_slash_that_is_missing_is_told(start: bytes) -> None:
    """A range that begins with a folder's name takes in others that begin with it, which this caller may not read."""
    with pytest.raises(Refused, match=rf"If keys below {start.decode()}/ are meant, end it with that slash"):
        POLICY.check_read(caller(Role.VIEWER, "a"), below(start))
    with pytest.raises(Refused) as caught:
        POLICY.check_read(caller(Role.VIEWER, "a"), Span.of(b"/xdsd/access", None))
    assert "slash" not in str(caught.value)
