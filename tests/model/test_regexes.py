"""Expressions are held to what Envoy takes, as Envoy counts it."""

from xdsd.model.intent.values import regex_fault


def test_an_expression_that_unfolds_beyond_what_proxies_take_is_refused() -> None:
    """A short text can be a huge program; Envoy would refuse every route beside it."""
    fault = regex_fault(".{1,999}" * 12)
    assert fault is not None
    assert "more than the 32768 that proxies take" in fault
    assert regex_fault("/api/v[0-9]+/.*") is None


def test_expressions_are_counted_byte_by_byte() -> None:
    """Envoy compiles without regard to UTF-8, which makes a dot of three steps instead of nine."""
    assert regex_fault(".{1,999}" * 10) is None
