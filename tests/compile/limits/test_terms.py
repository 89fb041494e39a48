"""Which limits share a filter."""

from typing import Any

from xdsd.compile.limits.filters import local_config
from xdsd.compile.limits.limiting import filter_config, heads, limiting
from xdsd.compile.limits.terms import Scope, Side, global_filters, local_filters
from xdsd.model.intent import Metadata, Object, RateLimit

LIMIT = {"requests": 1, "unit": "SECOND"}
LOCAL: dict[str, Any] = {"local": [{"limit": LIMIT}]}
GLOBAL: dict[str, Any] = {"global": {"limits": [{"name": "it", "limit": LIMIT}]}}
ROUTE: dict[str, Any] = {"targetRefs": [{"kind": "VirtualService", "name": "v"}]}


def limited(name: str, spec: dict[str, Any]) -> Object[RateLimit]:
    return Object("policy.xdsd.io/v1", "RateLimit", Metadata("n", name), RateLimit.model_validate(spec))


def test_limits_on_the_same_terms_share_a_filter() -> None:
    """Whatever their numbers and descriptors; other terms have another one, routes a third, listeners first."""
    objects = [
        limited("a", LOCAL),
        limited("b", {"local": [{"limit": {"requests": 9, "unit": "DAY"}}]}),
        limited("c", {**LOCAL, "shadow": True}),
        limited("d", {**LOCAL, **ROUTE}),
    ]
    found = local_filters(objects, Side.INBOUND)
    assert [{limit.owner for limit in each.limits} for each in found if each.terms.scope is Scope.ROUTE] == [
        {"n/d"}
    ]
    assert sorted(sorted(limit.owner for limit in each.limits) for each in found) == [
        ["n/a", "n/b"],
        ["n/c"],
        ["n/d"],
    ]
    assert found[-1].terms.scope is Scope.ROUTE


def test_a_change_of_numbers_leaves_the_names_alone() -> None:
    """So the listener stays as it is."""
    before, after = limited("a", LOCAL), limited("a", {"local": [{"limit": {"requests": 9, "unit": "DAY"}}]})
    told = [heads([each], Side.GATEWAY, external=False) for each in (before, after)]
    assert told[0] == told[1]
    name = told[0].filters[0].name
    one, other = (filter_config([each], Side.GATEWAY, name, "c", external=False) for each in (before, after))
    assert one != other
    assert filter_config([], Side.GATEWAY, name, "c", external=False) is None


def test_domains_keep_namespaces_apart_where_the_daemon_counts() -> None:
    """A name of one's own is of one's namespace there; elsewhere it is what it says."""
    named = {"global": {"domain": "shop", **GLOBAL["global"]}}
    objects = [limited("a", GLOBAL), limited("b", named)]
    domains = {
        external: {each.asking.domain for each in global_filters(objects, Side.INBOUND, external=external)}
        for external in (False, True)
    }
    assert domains == {False: {"xdsd", "n/shop"}, True: {"xdsd", "shop"}}


def test_a_body_is_put_in_by_its_mark() -> None:
    """The filter that takes the mark off stands before those that set it; without a body nothing is added."""
    answer = {"response": {"body": {"string": "no"}}}
    found = heads(
        [limited("a", {**LOCAL, **GLOBAL, **answer}), limited("b", LOCAL)], Side.INBOUND, external=False
    )
    made = limiting(found)
    assert len(found.answers) == len(made.replies.mappers) == 1
    assert made.filters[0].name.startswith("envoy.filters.http.header_mutation")
    assert len(made.filters) == 4
    plain = limiting(heads([limited("b", LOCAL)], Side.INBOUND, external=False))
    assert (len(plain.filters), plain.replies) == (1, None)


def test_given_values_have_buckets_and_others_have_none() -> None:
    """One bucket for each combination; a descriptor without values has one for each value that comes."""
    descriptors = [
        {"method": {"values": ["GET", "PUT"]}},
        {"header": {"name": "a", "values": ["1", "2"]}},
        {"path": {}},
    ]
    spec = {"local": [{"limit": {"requests": 3, "unit": "MINUTE"}, "burst": 7, "descriptors": descriptors}]}
    (made,) = local_filters([limited("a", spec)], Side.INBOUND)
    config = local_config(made)
    found = [[entry.value for entry in each.entries][1:] for each in config.descriptors]
    assert found == [["GET", "1", ""], ["GET", "2", ""], ["PUT", "1", ""], ["PUT", "2", ""]]
    bucket = config.descriptors[0].token_bucket
    assert (bucket.max_tokens, bucket.tokens_per_fill.value, bucket.fill_interval.seconds) == (7, 3, 60)
