"""Users, tokens and passwords as values, and as they are kept."""

import json
from datetime import timedelta
from typing import Any

import pytest

from api.access.caller import Binding, Caller, Method, Refused, Right, Role
from api.access.users import (
    InvalidUserError,
    Token,
    User,
    check_name,
    check_user,
    decode,
    encode,
    hash_password,
    new_token,
    password_holds,
    token_id,
)
from tests.api.access.people import NOW, binding

HOUR = timedelta(hours=1)


def alice() -> tuple[str, User]:
    text, token = new_token(NOW, NOW + HOUR, "of a script")
    bindings = (binding("viewer"), binding("editor", "a", "b"))
    password = hash_password("correct horse")
    return text, User("alice", bindings, (token,), password, ("alice", "spiffe://x/ns/a/sa/b"), (1000,))


def test_a_user_is_kept_and_read_whole() -> None:
    """Nothing is lost on the way through the store."""
    _, user = alice()
    assert decode("alice", encode(user)) == user


def test_no_secret_is_kept_or_printed() -> None:
    """Neither the token nor the password stands in what is kept, nor in what a log might print."""
    text, user = alice()
    for seen in (encode(user).decode(), repr(user)):
        assert text not in seen
        assert text[-43:] not in seen
        assert "correct horse" not in seen
    assert user.password not in repr(user)
    assert user.tokens[0].hash not in repr(user)


def test_a_token_holds_until_it_expires() -> None:
    """Only its own text holds, and only before its end."""
    text, token = new_token(NOW, NOW + HOUR, "")
    assert token.holds(text, NOW)
    assert not token.holds(text, NOW + HOUR)
    assert not token.holds(text + "x", NOW)
    assert token_id(text) == token.id
    forever = new_token(NOW, None, "")
    assert forever[1].holds(forever[0], NOW + timedelta(days=10_000))


@pytest.mark.parametrize(
    "text", ["", "xdsd_", "xdsd_12345678_", "xdsd_1234567g_" + "a" * 43, "a" * 100_000, "é"]
)
def test_what_is_no_token_has_no_id(text: str) -> None:
    """Whatever its length."""
    assert token_id(text) == ""


def test_a_password_holds_for_its_hash_alone() -> None:
    """Two hashes of one password differ; no password holds where there is none."""
    one, other = hash_password("correct horse"), hash_password("correct horse")
    assert one != other
    assert password_holds("correct horse", one)
    assert not password_holds("correct hors", one)
    assert not password_holds("", "")
    assert not password_holds("correct horse", "")


def kept(**changes: Any) -> bytes:
    value = json.loads(encode(alice()[1]))
    return json.dumps({**value, **changes}).encode()


def without(field: str) -> bytes:
    value = json.loads(encode(alice()[1]))
    del value[field]
    return json.dumps(value).encode()


TOKEN = json.loads(encode(alice()[1]))["tokens"][0]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        kept(bindings=[{"role": "editor", "namespaces": ""}]),
        kept(bindings=[{"role": "editor", "namespaces": None}]),
        kept(bindings=[{"role": "editor", "namespaces": {}}]),
        kept(bindings=[{"role": "editor"}]),
        kept(bindings=[{"role": "owner", "namespaces": []}]),
        kept(bindings=[{"role": "editor", "namespaces": [], "only": ["a"]}]),
        kept(bindings="admin"),
        kept(disabled="false"),
        kept(disabled=None),
        kept(password="plain"),
        kept(password="scrypt$00$00"),
        kept(uids=["0"]),
        kept(uids=[0.5]),
        kept(certificates="alice"),
        kept(tokens=[{**TOKEN, "expires": "2026-01-01T00:00:00"}]),
        kept(tokens=[{**TOKEN, "expires": ""}]),
        kept(tokens=[{**TOKEN, "hash": ""}]),
        kept(valid_from="2027"),
        without("disabled"),
        without("bindings"),
    ],
)
def test_what_is_no_user_is_refused_whole(value: bytes) -> None:
    """Nothing is guessed: a list of namespaces that is none is not all of them, and no field is ignored."""
    with pytest.raises(InvalidUserError, match="what is kept of the user alice cannot be read"):
        decode("alice", value)


@pytest.mark.parametrize("name", ["", ".", "a/b", "a b", "-a", "a" * 64, "é", "a\n"])
def test_some_names_are_none(name: str) -> None:
    """They would be other keys, or other lines."""
    with pytest.raises(InvalidUserError, match="is no name of a user"):
        check_name(name)


@pytest.mark.parametrize(
    ("user", "sentence"),
    [
        (User("a", (Binding(Role.EDITOR, frozenset({"a,b"})),)), "is no name of a namespace"),
        (User("a", (Binding(Role.EDITOR, frozenset({""})),)), "is no name of a namespace"),
        (User("a", certificates=(" ",)), "a certificate's subject has"),
        (User("a", tokens=(Token("1", "", NOW, None, "x" * 254),)), "a token's description has at most"),
        (User("a", tokens=(Token("1", "", NOW),) * 101), "the most there can be"),
    ],
)
def test_what_could_never_hold_is_refused(user: User, sentence: str) -> None:
    """A namespace that cannot exist would look like a right."""
    with pytest.raises(InvalidUserError, match=sentence):
        check_user(user)


def test_rights_are_those_of_the_roles_where_they_hold() -> None:
    """A role in some namespaces gives nothing elsewhere, and nothing that is of no namespace."""
    caller = Caller("alice", Method.TOKEN, bindings=(binding("viewer"), binding("editor", "a")))
    assert caller.may(Right.WRITE, "a")
    assert not caller.may(Right.WRITE, "b")
    assert not caller.may(Right.WRITE)
    assert caller.may(Right.READ, "b")
    assert not caller.may(Right.SECRETS, "a")
    assert Caller("bob", Method.TOKEN, bindings=(binding("admin", "a"),)).may(Right.ACCESS) is False
    with pytest.raises(
        Refused,
        match="alice may not write objects in namespace b; an admin can allow it: "
        "xdsctl role grant alice editor --namespace b",
    ):
        caller.require(Right.WRITE, "b")
