"""The words of an expression of CEL: names, signs, numbers and texts, each as the published grammar has it."""

import re
from typing import NamedTuple

_ESCAPE = r"""\\(?:[abfnrtv\\?"'`]|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7]{2})"""
_TOKEN = re.compile(
    rf"""(?P<blank>[\ \t\n\r\f]+|//[^\n]*)
    |(?P<raw>[bB]?[rR](?:\"\"\"[\s\S]*?\"\"\"|'''[\s\S]*?'''|"[^"\n\r]*"|'[^'\n\r]*'))
    |(?P<text>[bB]?(?:
        \"\"\"(?:[^\\]|{_ESCAPE})*?\"\"\"|'''(?:[^\\]|{_ESCAPE})*?'''
        |"(?:[^"\\\n\r]|{_ESCAPE})*"|'(?:[^'\\\n\r]|{_ESCAPE})*'))
    |(?P<number>0[xX][0-9a-fA-F]+[uU]?|[0-9]*\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|[0-9]+[uU]?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>&&|\|\||<=|>=|==|!=|[-+*/%<>!?:.,()\[\]{{}}])""",
    re.VERBOSE,
)
_ESCAPED = re.compile(r"\\(?:[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.))")
_CONTROL = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_SURROGATES = range(0xD800, 0xE000)
_LONGEST_NUMBER = 20


class UnreadableError(Exception):
    """The expression cannot be read; the words say why."""


class Token(NamedTuple):
    """``kind`` is text, raw (a text without escapes), number, name or sign; ``at`` counts characters from 1."""

    kind: str
    text: str
    at: int

    @property
    def is_bytes(self) -> bool:
        return self.text.startswith(("b", "B"))

    @property
    def is_natural(self) -> bool:
        """True of numbers that a minus belongs to."""
        return self.kind == "number" and not self.text.endswith(("u", "U"))

    @property
    def value(self) -> str:
        """What a text says."""
        bare = self.text.lstrip("bBrR")
        quotes = 3 if len(bare) > 5 and bare[:3] in ('"""', "'''") else 1
        inner = bare[quotes:-quotes]
        return inner if self.kind == "raw" else _ESCAPED.sub(_unescaped, inner)


def read_tokens(text: str) -> list[Token]:
    """All but blanks and remarks. Raises UnreadableError."""
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise UnreadableError(f"nothing begins with {text[at]!r}, at character {at + 1}")
        kind = match.lastgroup or ""
        token = Token(kind, match[0], at + 1)
        if kind == "text":
            _check_escapes(token)
        if kind != "blank":
            found.append(token)
        at = match.end()
    return found


def check_number(token: Token, *, negative: bool) -> None:
    """Whole numbers have 64 bits; one below zero reaches one further. Raises UnreadableError."""
    text = token.text.lower()
    base, digits = (16, text[2:].rstrip("u")) if text.startswith("0x") else (10, text.rstrip("u"))
    if base == 10 and not digits.isdecimal():
        return
    digits = digits.lstrip("0") or "0"
    most = 2**64 - 1 if text.endswith("u") else 2**63 - (not negative)
    if len(digits) > _LONGEST_NUMBER or int(digits, base) > most:
        raise UnreadableError(f"{token.text[:40]} at character {token.at} is too large a number")


def _check_escapes(token: Token) -> None:
    for escape in _ESCAPED.finditer(token.text):
        digits = escape[2] or escape[3]
        if digits is None:
            continue
        number = int(digits, 16)
        if token.is_bytes or number in _SURROGATES or number > 0x10FFFF:
            raise UnreadableError(f"{escape[0]} in the text at character {token.at} is no character there")


def _unescaped(found: re.Match[str]) -> str:
    if digits := found[1] or found[2] or found[3]:
        return chr(int(digits, 16))
    if found[4]:
        return chr(int(found[4], 8))
    return _CONTROL.get(found[5], found[5])
