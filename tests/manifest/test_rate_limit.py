"""RateLimit: the rules that an object must hold, each told where it is broken."""

import pytest

from tests.manifest.support import told

LIMIT = "limit: {requests: 1, unit: SECOND}"


def _told(spec: str) -> list[str]:
    """The problems of an object whose spec is on line 5."""
    return told(
        f"apiVersion: policy.xdsd.io/v1\nkind: RateLimit\nmetadata: {{name: x}}\nspec:\n  {{{spec}}}\n"
    )


@pytest.mark.parametrize(
    "spec",
    [
        f"local: [{{{LIMIT}}}]",
        f"local: [{{{LIMIT}, burst: 5, descriptors: [{{path: {{}}}}]}}]",
        f"global: {{limits: [{{name: a, {LIMIT}}}]}}",
        f"selector: {{matchLabels: {{a: b}}}}, local: [{{{LIMIT}}}], shadow: true",
        f"targetRefs: [{{kind: VirtualService, name: a, sectionName: b}}], local: [{{{LIMIT}}}]",
        f"local: [{{{LIMIT}}}], response: {{status: 503, rateLimitHeaders: DRAFT_VERSION_03}}",
    ],
)
def test_what_is_right_is_taken(spec: str) -> None:
    """Each of these is a valid object."""
    assert _told(spec) == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("selector: {}", "4 spec MissingField: is empty; give local or global"),
        (
            "local: [{limit: {requests: 0, unit: SECOND}}]",
            "5 spec.local[0].limit.requests OutOfRange: 0 is below 1",
        ),
        (
            "local: [{limit: {requests: 1, unit: WEEK}}]",
            "5 spec.local[0].limit.unit InvalidValue: 'WEEK' is no value of this field; it is one of",
        ),
        (
            f"targetRefs: [{{kind: Service, name: a}}], local: [{{{LIMIT}}}]",
            (
                "5 spec.targetRefs[0].kind InvalidValue: 'Service' is no value of this field; did you mean VirtualService?"
                " It is one of Gateway, VirtualService"
            ),
        ),
        (f"local: [{{{LIMIT}, burst: 0}}]", "5 spec.local[0].burst OutOfRange: 0 is below 1"),
        (
            f"local: [{{{LIMIT}, descriptors: [{{}}]}}]",
            "5 spec.local[0].descriptors[0] MissingField: is empty; give one of path, method",
        ),
        (
            f"local: [{{{LIMIT}, descriptors: [{{path: {{match: {{}}}}}}]}}]",
            "5 spec.local[0].descriptors[0].path.match MissingField: is empty; give exact, prefix or regex",
        ),
        (
            f"local: [{{{LIMIT}, descriptors: [{{path: {{match: {{regex: '('}}}}}}]}}]",
            "5 spec.local[0].descriptors[0].path.match.regex InvalidValue: '(' is no RE2 expression: missing ): (",
        ),
        (
            f"local: [{{{LIMIT}, descriptors: [{{header: {{name: a, values: [b, b]}}}}]}}]",
            "5 spec.local[0].descriptors[0].header.values[1] InvalidValue: 'b' is listed twice",
        ),
        (
            f"local: [{{{LIMIT}, descriptors: [{{remoteAddress: {{ipv4Prefix: 33}}}}]}}]",
            "5 spec.local[0].descriptors[0].remoteAddress.ipv4Prefix InvalidValue: 33 is above 32",
        ),
        (
            f"local: [{{name: a, {LIMIT}}}, {{name: a, {LIMIT}}}]",
            "5 spec.local[1].name InvalidValue: 'a' is the name of another limit",
        ),
        ("global: {limits: []}", "5 spec.global.limits MissingField: is empty; give at least one limit"),
        (f"global: {{limits: [{{{LIMIT}}}]}}", "5 spec.global.limits[0].name MissingField: is missing"),
        (
            f"global: {{timeout: -1s, limits: [{{name: a, {LIMIT}}}]}}",
            "5 spec.global.timeout OutOfRange: -1s is below 0.001s",
        ),
        (
            f"local: [{{{LIMIT}}}], response: {{status: 200}}",
            "5 spec.response.status InvalidValue: 200 is not a status of refusal; write 429 or another error's",
        ),
        (
            f"local: [{{{LIMIT}}}], response: {{headers: {{a: '%NONE%'}}}}",
            "5 spec.response.headers[a] InvalidValue: ",
        ),
        (
            f"local: [{{{LIMIT}, descriptors: [{{path: {{}}}}]}}], response: {{rateLimitHeaders: DRAFT_VERSION_03}}",
            "5 spec.response.rateLimitHeaders InvalidValue: is told on every response, and no local limit",
        ),
        (
            f"local: [{{{LIMIT}}}], shadow: true, enforced: {{value: 5}}",
            "5 spec.enforced InvalidValue: shadow is set too; at most one of shadow, enforced may be set",
        ),
        (
            f"local: [{{{LIMIT}}}], enabled: {{value: 101}}",
            "5 spec.enabled.value OutOfRange: 101 is above 100",
        ),
        (
            f"selector: {{}}, targetRefs: [{{kind: Gateway, name: a}}], local: [{{{LIMIT}}}]",
            "5 spec.targetRefs InvalidValue: selector is set too; at most one of selector, targetRefs may be set",
        ),
        (
            f"targetRefs: [{{kind: Gateway, name: a, sectionName: b}}], local: [{{{LIMIT}}}]",
            "5 spec.targetRefs[0].sectionName InvalidValue: is for routes of a VirtualService",
        ),
        (
            f"targetRefs: [{{kind: Gateway, name: a}}, {{kind: Gateway, name: a}}], local: [{{{LIMIT}}}]",
            "5 spec.targetRefs[1] InvalidValue: Gateway a is listed twice",
        ),
        (
            f"targetRefs: [{{group: apps, kind: Gateway, name: a}}], local: [{{{LIMIT}}}]",
            "5 spec.targetRefs[0].group InvalidValue: 'apps' is not the group of Gateway: networking.istio.io",
        ),
        (f"local: [{{{LIMIT}}}], rules: []", "5 spec.rules UnknownField: unknown field"),
    ],
)
def test_what_is_wrong_is_told_where_it_is(spec: str, expected: str) -> None:
    """A rule that does not hold is the object's only problem, with its path."""
    found = _told(spec)
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_values_may_not_multiply_without_end() -> None:
    """A limit has as many counts as its values combine to, and so have all limits of an object together."""
    values = ", ".join(f"v{number}" for number in range(40))
    twice = f"descriptors: [{{path: {{values: [{values}]}}}}, {{header: {{name: a, values: [{values}]}}}}]"
    assert _told(f"local: [{{{LIMIT}, {twice}}}]") == [
        "5 spec.local[0].descriptors InvalidValue: its values combine to 1600 counts, which is above 1000"
    ]
    values = ", ".join(f"v{number}" for number in range(30))
    twice = f"descriptors: [{{path: {{values: [{values}]}}}}, {{header: {{name: a, values: [{values}]}}}}]"
    five = ", ".join([f"{{{LIMIT}, {twice}}}"] * 5)
    assert _told(f"local: [{five}]") == [
        "5 spec.local InvalidValue: its limits have 4500 counts together, which is above 4000"
    ]
