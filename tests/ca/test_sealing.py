"""Secrets at rest, and where the key that seals them comes from."""

import base64
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdsd.ca.sealing import CREDENTIAL, VARIABLE, KeyPlaces, Sealer, SealingError, find_sealer, to_be_made

KEY, OTHER = bytes(range(32)), bytes(range(100, 132))


@given(st.binary(max_size=100), st.text(max_size=30))
def test_what_is_sealed_is_opened_at_its_place(secret: bytes, place: str) -> None:
    """Opening is the inverse of sealing, for the place alone that it was sealed for."""
    sealed = Sealer(KEY).seal(secret, place)
    assert Sealer(KEY).open(sealed, place) == secret
    with pytest.raises(SealingError, match="changed since"):
        Sealer(KEY).open(sealed, f"{place}x")


def test_nothing_sealed_shows_the_secret() -> None:
    """What is sealed has neither the secret nor the key in it, and differs each time."""
    sealer = Sealer(KEY)
    one, other = sealer.seal(b"secret" * 9, "p"), sealer.seal(b"secret" * 9, "p")
    assert one != other
    assert b"secret" not in base64.b64decode(one.rpartition(":")[2])
    assert KEY.hex() not in repr(sealer) + one


def test_another_key_opens_nothing_and_is_named() -> None:
    """A key that did not seal it is refused by a name that tells keys apart, and tells none of them."""
    with pytest.raises(SealingError, match=r"needs the sealing key [0-9a-f]{8}, and given is [0-9a-f]{8}"):
        Sealer(OTHER).open(Sealer(KEY).seal(b"s", "p"), "p")


def test_an_old_key_opens_while_a_new_one_seals() -> None:
    """Of several keys the first seals, and all open: so a key is replaced."""
    old = Sealer(KEY).seal(b"s", "p")
    both = Sealer(OTHER, KEY)
    assert both.open(old, "p") == b"s"
    assert Sealer(OTHER).open(both.seal(b"s", "p"), "p") == b"s"


@given(st.text(max_size=60) | st.from_regex(r"xdsd1:[0-9a-f]{8}:[A-Za-z0-9+/=]{0,40}", fullmatch=True))
def test_anything_else_is_refused(text: str) -> None:
    """What was not sealed raises a SealingError and nothing else."""
    with pytest.raises(SealingError):
        Sealer(KEY).open(text, "p")


def places(
    file: Path | None = None, own: Path | None = None, environ: Mapping[str, str] | None = None
) -> KeyPlaces:
    """Places of a key."""
    return KeyPlaces(file, environ or {}, own)


def works_like(one: Sealer, key: bytes) -> bool:
    """Whether a sealer seals with a key."""
    return Sealer(key).open(one.seal(b"s", "p"), "p") == b"s"


@pytest.mark.parametrize("text", [base64.b64encode(KEY).decode(), KEY.hex(), KEY.hex().upper() + "\n"])
def test_a_key_comes_from_each_place(text: str, tmp_path: Path) -> None:
    """A file, the environment and a credential of systemd each give the key, in base64 or hexadecimal digits."""
    file = tmp_path / CREDENTIAL
    file.write_text(text)
    file.chmod(0o600)
    assert works_like(find_sealer(places(file)), KEY)
    assert works_like(find_sealer(places(environ={VARIABLE: text})), KEY)
    assert works_like(find_sealer(places(environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})), KEY)


def test_the_first_place_counts(tmp_path: Path) -> None:
    """What a setting names comes before the environment, and that before a file of our own."""
    file = tmp_path / "key"
    file.write_text(KEY.hex())
    file.chmod(0o600)
    assert works_like(find_sealer(places(file, environ={VARIABLE: OTHER.hex()})), KEY)
    assert works_like(find_sealer(places(None, tmp_path / "own", environ={VARIABLE: OTHER.hex()})), OTHER)
    assert not (tmp_path / "own").exists()


def test_a_key_of_our_own_is_made_once_for_the_owner_alone(tmp_path: Path) -> None:
    """Without a key one is made that its owner alone can read, and found again."""
    own = tmp_path / "ca-sealing.key"
    sealed = find_sealer(places(own=own)).seal(b"s", "p")
    assert stat.S_IMODE(own.stat().st_mode) == 0o600
    assert find_sealer(places(own=own)).open(sealed, "p") == b"s"
    assert [each.name for each in tmp_path.iterdir()] == [own.name]


def test_it_can_be_known_before_that_a_key_would_be_made(tmp_path: Path) -> None:
    """Only where none is given, none is there, and one of our own would do."""
    own = tmp_path / "ca-sealing.key"
    assert to_be_made(places(own=own)) == own
    assert to_be_made(places()) is None
    assert to_be_made(places(tmp_path / "given", own)) is None
    assert to_be_made(places(None, own, environ={VARIABLE: KEY.hex()})) is None
    (tmp_path / CREDENTIAL).write_text(KEY.hex())
    assert to_be_made(places(None, own, environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})) is None
    find_sealer(places(own=own))
    assert to_be_made(places(own=own)) is None


def test_a_shared_store_needs_a_key_that_is_given() -> None:
    """Where no key of our own would do, the message says what to set."""
    with pytest.raises(
        SealingError, match=f"ca-sealing-key-file, {VARIABLE} or systemd's LoadCredential"
    ) as refused:
        find_sealer(places())
    assert "openssl rand -base64 32" in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "password",
        base64.b64encode(b"x" * 31).decode(),
        base64.b64encode(b"x" * 33).decode(),
        "é" * 40,
        "A" * 9000,
    ],
)
def test_what_is_no_key_is_refused_without_showing_it(text: str, tmp_path: Path) -> None:
    """A key that is too short or no key at all is refused, and stands in no message."""
    file = tmp_path / "key"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(SealingError, match="32 random bytes") as refused:
        find_sealer(places(file))
    assert len(text) < 8 or text[:20] not in str(refused.value)


def test_a_key_that_all_can_read_is_refused(tmp_path: Path) -> None:
    """A file that every user can read keeps no secret; the message says how to mend it."""
    file = tmp_path / "key"
    file.write_text(KEY.hex())
    file.chmod(0o644)
    with pytest.raises(SealingError, match="chmod 600"):
        find_sealer(places(file))
    with pytest.raises(SealingError, match="no such file"):
        find_sealer(places(tmp_path / "absent"))
