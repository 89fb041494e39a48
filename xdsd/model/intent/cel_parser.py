"""Reads an expression of CEL as strictly as Envoy 1.40 does: its grammar, its functions, and how deep it may be.

Envoy walks through no lists there, so it has no ``all`` and no ``exists``.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from xdsd.model.intent.cel_tokens import Token, UnreadableError, check_number

DEEPEST = 32
"""Operations within each other, to the left too: ``a + b + c`` is two; of ``&&`` and ``||`` however many are one."""

BRACKETS = 33
"""Brackets within each other, and what follows a colon."""


class _Takes(NamedTuple):
    """How many arguments a function takes, and how many where it is called on something."""

    alone: frozenset[int] = frozenset()
    called_on: frozenset[int] = frozenset()


_CONVERSION = _Takes(alone=frozenset({1}))
_TEST = _Takes(frozenset({2}), frozenset({1}))
_PART_OF_TIME = _Takes(called_on=frozenset({0, 1}))

FUNCTIONS: Mapping[str, _Takes] = MappingProxyType(
    {
        "size": _Takes(frozenset({1}), frozenset({0})),
        **dict.fromkeys(
            ("bool", "bytes", "double", "duration", "dyn", "has", "int", "timestamp", "type", "uint"),
            _CONVERSION,
        ),
        **dict.fromkeys(("contains", "endsWith", "matches", "startsWith"), _TEST),
        **dict.fromkeys(
            (
                "getDate",
                "getDayOfMonth",
                "getDayOfWeek",
                "getDayOfYear",
                "getFullYear",
                "getHours",
                "getMilliseconds",
                "getMinutes",
                "getMonth",
                "getSeconds",
            ),
            _PART_OF_TIME,
        ),
    }
)

_RESERVED = frozenset(
    {
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    }
)
_LITERALS = frozenset({"true", "false", "null", "in"})
"""Words that are no names, after a dot neither."""

_RELATIONS = frozenset({"<", "<=", ">", ">=", "==", "!=", "in"})
_SUMS = frozenset({"+", "-"})
_PRODUCTS = frozenset({"*", "/", "%"})


class Parser:
    """Reads the tokens from left to right, a method a level of the grammar; each returns how deep is what it read.

    ``patterns`` are the regular expressions that are written out.
    """

    def __init__(self, tokens: list[Token]) -> None:
        self.patterns: list[str] = []
        self._tokens = tokens
        self._at = 0
        self._brackets = 0

    def whole(self) -> None:
        """Raises UnreadableError."""
        self._expression()
        if self._next is not None:
            raise self._unexpected()

    @property
    def _next(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _is(self, *texts: str) -> bool:
        token = self._next
        return token is not None and token.kind in ("sign", "name") and token.text in texts

    def _take(self, *texts: str) -> bool:
        if self._is(*texts):
            self._at += 1
            return True
        return False

    def _want(self, text: str) -> None:
        if not self._take(text):
            raise self._unexpected(f", where {text} should be")

    def _unexpected(self, where: str = "") -> UnreadableError:
        token = self._next
        if token is None:
            return UnreadableError(f"it ends too early{where}")
        return UnreadableError(f"{token.text[:40]!r} at character {token.at} is in the wrong place{where}")

    def _around(self, *inner: int) -> int:
        """The depth of an operation on things so deep."""
        depth = 1 + max(inner, default=0)
        if depth > DEEPEST:
            raise UnreadableError(f"it is nested more than {DEEPEST} deep")
        return depth

    def _expression(self) -> int:
        self._brackets += 1
        if self._brackets > BRACKETS:
            raise UnreadableError(f"it is nested more than {DEEPEST} deep")
        depth = self._or()
        if self._take("?"):
            first = self._or()
            self._want(":")
            depth = self._around(depth, first, self._expression())
        self._brackets -= 1
        return depth

    def _or(self) -> int:
        return self._joined(self._and, "||")

    def _and(self) -> int:
        return self._joined(self._relation, "&&")

    def _joined(self, part: Callable[[], int], sign: str) -> int:
        depths = [part()]
        while self._take(sign):
            depths.append(part())
        return self._around(*depths) if len(depths) > 1 else depths[0]

    def _relation(self) -> int:
        return self._chain(self._sum, _RELATIONS)

    def _sum(self) -> int:
        return self._chain(self._product, _SUMS)

    def _product(self) -> int:
        return self._chain(self._unary, _PRODUCTS)

    def _chain(self, part: Callable[[], int], signs: Iterable[str]) -> int:
        depth = part()
        while self._take(*signs):
            depth = self._around(depth, part())
        return depth

    def _unary(self) -> int:
        """Signs of one kind; a minus before a number may be the number's own."""
        sign = next((each for each in ("!", "-") if self._is(each)), None)
        if sign is None or self._is_negative():
            return self._member()
        while self._take(sign):
            pass
        return self._around(self._member())

    def _is_negative(self) -> bool:
        after = self._tokens[self._at + 1 : self._at + 2]
        return self._is("-") and bool(after) and after[0].is_natural

    def _member(self) -> int:
        depth = self._primary()
        while True:
            if self._take("."):
                depth = self._part(depth)
            elif self._take("["):
                depth = self._around(depth, self._expression())
                self._want("]")
            else:
                return depth

    def _part(self, of: int) -> int:
        """A field, or a call on what is before the dot."""
        name = self._name()
        if self._is("("):
            return self._call(name, FUNCTIONS[name.text].called_on if name.text in FUNCTIONS else (), of)
        return self._around(of)

    def _name(self) -> Token:
        token = self._next
        if token is None or token.kind != "name" or token.text in _LITERALS:
            raise self._unexpected(", where a name should be")
        self._at += 1
        return token

    def _primary(self) -> int:
        negative = self._is_negative() and self._take("-")
        token = self._next
        if token is None:
            raise self._unexpected()
        if token.kind == "number":
            check_number(token, negative=negative)
        if token.kind in ("text", "raw", "number") or (
            token.kind == "name" and token.text in _LITERALS - {"in"}
        ):
            self._at += 1
            return 1
        if self._take("("):
            depth = self._expression()
            self._want(")")
            return depth
        if self._is("["):
            return self._list()
        if self._is("{"):
            return self._pairs()
        return self._free()

    def _free(self) -> int:
        """A name that is no part of anything, or a call."""
        self._take(".")
        if self._is(*_RESERVED):
            raise self._unexpected()
        name = self._name()
        if not self._is("("):
            return 1
        return self._call(name, FUNCTIONS[name.text].alone if name.text in FUNCTIONS else ())

    def _call(self, name: Token, takes: Container[int], on: int | None = None) -> int:
        if name.text not in FUNCTIONS:
            raise UnreadableError(f"there is no function {name.text[:40]!r}, at character {name.at}")
        start = self._at + 1
        if name.text == "has":
            return self._has(name)
        depths, ends = self._arguments()
        if len(depths) not in takes:
            how = "" if on is None else " called on something"
            raise UnreadableError(
                f"{name.text}{how} takes no {len(depths)} arguments, at character {name.at}"
            )
        if name.text == "matches":
            begins = start if on is not None else ends[0] + 1
            self._note_pattern(begins, ends[-1])
        return self._around(*depths, *(() if on is None else (on,)))

    def _has(self, name: Token) -> int:
        """It wants a field that is named after a dot, of something."""
        self._want("(")
        start = self._at
        depth = self._member()
        dot, field = self._tokens[self._at - 2 : self._at]
        if self._at - start < 3 or dot.text != "." or field.kind != "name" or not self._take(")"):
            raise UnreadableError(
                f"has, at character {name.at}, takes a field such as request.headers.host; where a name is no word, write "
                "'x-name' in request.headers"
            )
        return depth

    def _arguments(self) -> tuple[list[int], list[int]]:
        """How deep each is, and where it ends."""
        depths: list[int] = []
        ends: list[int] = []
        self._want("(")
        while depths or not self._is(")"):
            depths.append(self._expression())
            ends.append(self._at)
            if not self._take(","):
                break
        self._want(")")
        return depths, ends

    def _note_pattern(self, start: int, end: int) -> None:
        token = self._tokens[start]
        if end - start == 1 and token.kind in ("text", "raw") and not token.is_bytes:
            self.patterns.append(token.value)

    def _list(self) -> int:
        depths: list[int] = []
        self._want("[")
        while not self._take("]"):
            depths.append(self._expression())
            if not self._is("]"):
                self._want(",")
        return self._around(*depths)

    def _pairs(self) -> int:
        depths: list[int] = []
        self._want("{")
        while not self._take("}"):
            depths.append(self._expression())
            self._want(":")
            depths.append(self._expression())
            if not self._is("}"):
                self._want(",")
        return self._around(*depths)
