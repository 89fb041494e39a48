"""Random RateLimits, as YAML holds them."""

from typing import Any

from hypothesis import strategies as st

Values = dict[str, Any]

_pick = st.sampled_from
_MATCH = _pick(
    [
        {"exact": "/a"},
        {"exact": 'q"\\é'},
        {"prefix": "/b"},
        {"regex": "/c|d.*"},
        {"regex": "."},
        {"regex": ".*"},
    ]
)
_VALUES = st.lists(_pick(["a", "b", "/c", "GET", 'é"\\']), min_size=1, max_size=3, unique=True)
_OF = st.one_of(
    st.just({}),
    st.builds(lambda match: {"match": match}, _MATCH),
    st.builds(lambda values: {"values": values}, _VALUES),
)


def _named(name: str) -> st.SearchStrategy[Values]:
    return st.builds(lambda of: {"name": name, **of}, _OF)


DESCRIPTOR = st.one_of(
    *(st.builds(lambda of, kind=kind: {kind: of}, _OF) for kind in ("path", "method", "source")),
    st.builds(lambda of: {"header": of}, _named("X-User")),
    st.builds(lambda of: {"queryParameter": of}, _named("q")),
    st.builds(lambda of: {"claim": of}, _named("sub")),
    _pick(
        [{"remoteAddress": {}}, {"remoteAddress": {"ipv4Prefix": 0}}, {"remoteAddress": {"ipv6Prefix": 64}}]
    ),
    _pick([{"constant": {"value": "v"}}, {"constant": {"key": "k", "value": "%v"}}]),
)
_LIMIT = st.fixed_dictionaries(
    {
        "limit": st.fixed_dictionaries(
            {"requests": _pick([1, 10, 2**32 - 1]), "unit": _pick(["SECOND", "MINUTE", "HOUR", "DAY"])}
        )
    },
    optional={"descriptors": st.lists(DESCRIPTOR, max_size=3)},
)
_LOCAL = st.builds(lambda limit, more: {**limit, **more}, _LIMIT, _pick([{}, {"burst": 1}, {"burst": 500}]))
_GLOBAL = st.builds(
    lambda limits, more: {"limits": [{"name": f"l{at}", **each} for at, each in enumerate(limits)], **more},
    st.lists(_LIMIT, min_size=1, max_size=3),
    _pick([{}, {"domain": "d"}, {"failureMode": "CLOSED", "timeout": "0.5s"}]),
)
_RESPONSE = st.fixed_dictionaries(
    {},
    optional={
        "status": _pick([400, 403, 429, 503, 511]),
        "body": _pick([{"string": "no %REQ(a)% 100%"}, {"string": ""}, {"bytes": "/wA="}]),
        "headers": _pick([{"content-type": "text/html"}, {"a": "%REQ(b)%", "b": ""}]),
        "rateLimitHeaders": _pick(["OFF", "DRAFT_VERSION_03"]),
    },
)
_WHOM = _pick(
    [
        {},
        {"selector": {}},
        {"selector": {"matchLabels": {"app": "a"}}},
        {"selector": {"matchLabels": {"istio": "edge"}}},
        {"targetRefs": [{"kind": "Gateway", "name": "edge"}]},
        {"targetRefs": [{"kind": "VirtualService", "name": "n1"}, {"kind": "VirtualService", "name": "n2"}]},
        {"targetRefs": [{"kind": "VirtualService", "name": "n1", "sectionName": "r"}]},
    ]
)
_SHARE = _pick(
    [{}, {"shadow": True}, {"enforced": {"value": 0.5}}, {"enabled": {"value": 99.9}}, {"enabled": {}}]
)
RATE_LIMIT: st.SearchStrategy[Values] = st.builds(
    lambda whom, share, what: {**whom, **share, **what},
    _WHOM,
    _SHARE,
    st.fixed_dictionaries(
        {},
        optional={
            "local": st.lists(_LOCAL, min_size=1, max_size=3),
            "global": _GLOBAL,
            "response": _RESPONSE,
        },
    ),
)
