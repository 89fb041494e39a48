"""Label selectors."""

import pytest

from api.selectors import SelectorError, parse_selector


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("", {}, True),
        ("  ", {"a": "b"}, True),
        ("app=reviews", {"app": "reviews"}, True),
        ("app==reviews", {"app": "reviews"}, True),
        ("app=reviews", {"app": "ratings"}, False),
        ("app=reviews", {}, False),
        ("app!=reviews", {}, True),
        ("app!=reviews", {"app": "reviews"}, False),
        ("app", {"app": ""}, True),
        ("app", {}, False),
        ("!app", {}, True),
        ("!app", {"app": "x"}, False),
        ("app in (a, b)", {"app": "b"}, True),
        ("app in (a,b)", {"app": "c"}, False),
        ("app notin (a,b)", {}, True),
        ("app notin (a,b)", {"app": "a"}, False),
        ("app=a, version!=v1 ,!old", {"app": "a", "version": "v2"}, True),
        ("app=a,version!=v1,!old", {"app": "a", "version": "v2", "old": ""}, False),
        ("app=", {"app": ""}, True),
        ("istio.io/rev=x", {"istio.io/rev": "x"}, True),
    ],
)
def test_a_selector_means_what_it_means_to_kubectl(text: str, labels: dict[str, str], matches: bool) -> None:
    """Equality, sets, presence and absence, joined by commas."""
    assert parse_selector(text)(labels) is matches


@pytest.mark.parametrize("text", ["a=b,", "=b", "a in x", "a b", ",", "a=b=c", "a>1", "(a)", "a in (b"])
def test_what_is_no_selector_is_refused(text: str) -> None:
    """The refusal quotes the text and says what would be right."""
    with pytest.raises(SelectorError, match=r"is not a label selector from .* on: write key=value"):
        parse_selector(text)
