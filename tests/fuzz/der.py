"""Changes of DER that keep its shape: a value is dropped, doubled, replaced or moved, and the lengths around it still fit,
so that what reads it gets far.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field

import hypothesis.strategies as st

_CONSTRUCTED = 0x20
_DEEPEST = 40


@dataclass(slots=True)
class Value:
    """A tag, and either bytes or values."""

    tag: int
    content: bytes = b""
    values: list["Value"] | None = field(default=None)

    def encoded(self) -> bytes:
        content = (
            b"".join(each.encoded() for each in self.values) if self.values is not None else self.content
        )
        return bytes((self.tag,)) + _length(len(content)) + content

    def walk(self) -> list["Value"]:
        """It and all below it."""
        return [self, *(below for each in self.values or () for below in each.walk())]


def _length(size: int) -> bytes:
    if size < 0x80:
        return bytes((size,))
    digits = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((0x80 | len(digits),)) + digits


def parse(data: bytes) -> Value:
    """One value, of well-formed DER."""
    (found,) = _values(data)
    return found


def _values(data: bytes) -> list[Value]:
    found = []
    at = 0
    while at < len(data):
        tag, size, at = data[at], data[at + 1], at + 2
        if size & 0x80:
            count = size & 0x7F
            size, at = int.from_bytes(data[at : at + count]), at + count
        content, at = data[at : at + size], at + size
        if tag & _CONSTRUCTED:
            found.append(Value(tag, values=_values(content)))
        else:
            found.append(Value(tag, content))
    return found


_CONTENTS = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [b"", b"\0", b"\xff" * 64, b"\x80" + b"\xff" * 20, b"\x7f" * 300, b"99991231235959Z", b"\0" * 5000]
    ),
)
_TAGS = st.sampled_from(list(bytes.fromhex("010203040506 0c 13 16 17 18 30 31 82 86 a0 a3")))


def _drop(root: Value, target: Value, draw: Callable[..., object]) -> None:
    for each in root.walk():
        if each.values is not None and any(target is below for below in each.values):
            each.values = [below for below in each.values if below is not target]


def _double(root: Value, target: Value, draw: Callable[..., object]) -> None:
    for each in root.walk():
        if each.values is not None and any(target is below for below in each.values):
            each.values = [*each.values, target]
            return


def _replace(root: Value, target: Value, draw: Callable[..., object]) -> None:
    target.values, target.content = None, draw(_CONTENTS)  # type: ignore[assignment]  # bytes are drawn


def _retag(root: Value, target: Value, draw: Callable[..., object]) -> None:
    content = target.encoded()
    target.tag, target.values, target.content = draw(_TAGS), None, content  # type: ignore[assignment]  # a tag is drawn


def _copy(root: Value, target: Value, draw: Callable[..., object]) -> None:
    other = draw(st.sampled_from(root.walk()))
    assert isinstance(other, Value)
    copied = deepcopy(other)
    target.tag, target.content, target.values = copied.tag, copied.content, copied.values


def _bury(root: Value, target: Value, draw: Callable[..., object]) -> None:
    inner = Value(target.tag, target.content, target.values)
    for _ in range(draw(st.integers(1, _DEEPEST))):  # type: ignore[call-overload]  # a number is drawn
        inner = Value(0x30, values=[inner])
    target.tag, target.content, target.values = 0x30, b"", [inner]


_CHANGES = (_drop, _double, _replace, _retag, _copy, _bury)


@st.composite
def changed(draw: Callable[..., object], originals: list[bytes]) -> bytes:
    """DER like one of these with one to three changes, rarely cut off or with something behind it."""
    root = parse(draw(st.sampled_from(originals)))  # type: ignore[arg-type]  # bytes are drawn
    for _ in range(draw(st.integers(1, 3))):  # type: ignore[call-overload]  # a number is drawn
        target = draw(st.sampled_from(root.walk()))
        change = draw(st.sampled_from(_CHANGES))
        change(root, target, draw)  # type: ignore[operator]  # a change is drawn
    data = root.encoded()
    match draw(st.integers(0, 9)):
        case 0:
            return data[: len(data) // 2]
        case 1:
            return data + b"\0"
        case _:
            return data
