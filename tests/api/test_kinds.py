"""Names of kinds."""

import pytest

from api.kinds import UnknownKindError, find_kind, qualified


@pytest.mark.parametrize(
    "word",
    [
        "vs",
        "VirtualService",
        "virtualservice",
        "virtualservices",
        "virtualservices.networking.istio.io",
        "VirtualService.v1beta1.networking.istio.io",
        "vs.networking.istio.io",
    ],
)
def test_a_kind_has_many_names(word: str) -> None:
    """Short, singular, plural, with group, with version and group, in any case."""
    assert find_kind(word).kind == "VirtualService"


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("virtualservce", 'there is no kind "virtualservce"; did you mean virtualservice?'),
        ("pod", 'there is no kind "pod"; there are authorizationpolicies, destinationrules'),
        ("vs.x.io", 'there is no kind "vs.x.io"; did you mean vs.networking.istio.io?'),
        ("wasmplugins.extensions.istio.io", "WasmPlugin is not supported yet"),
        ("wasmplugin", "WasmPlugin is not supported yet; there are authorizationpolicies"),
    ],
)
def test_an_unknown_kind_is_refused_with_what_there_is(word: str, sentence: str) -> None:
    """A near miss is named; a kind of the published API that comes later is told apart from nonsense."""
    with pytest.raises(UnknownKindError) as caught:
        find_kind(word)
    assert str(caught.value).startswith(sentence)


def test_objects_are_named_as_kubectl_names_them() -> None:
    """kind.group/name, with the kind in its singular."""
    assert qualified("VirtualService", "reviews") == "virtualservice.networking.istio.io/reviews"
    assert qualified("Thing", "x") == "thing/x"
