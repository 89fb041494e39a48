"""What is in a join bundle."""

import json
from dataclasses import replace

from api.join_bundle import ADDRESS, NAME, Bundle, contents, written
from tests.registration.making import group
from xdsd.settings import TcpAddress

TOKEN = "xdsdj_0123456789ab_" + "x" * 43


def bundle() -> Bundle:
    return Bundle(
        group=group(),
        name="",
        daemons=(TcpAddress("10.0.0.1", 15012), TcpAddress("::1", 15012)),
        identity="spiffe://cluster.local/ns/default/sa/reviews",
        token_id="0123456789ab",
        expires="2027-01-01T00:00:00Z",
        token=TOKEN,
        roots="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        bootstrap={"node": {"id": f"sidecar~{ADDRESS}~{NAME}.default~x"}},
    )


def test_a_bundle_is_a_head_and_parts() -> None:
    """As the script takes it apart."""
    text = written(bundle())
    head, *_ = text.partition("=====BEGIN")
    assert head.splitlines()[0] == "xdsd-join-bundle: 1"
    assert "daemons: 10.0.0.1:15012 [::1]:15012" in head.splitlines()
    for name, inside in (("JOIN TOKEN", TOKEN), ("ROOTS", bundle().roots.strip())):
        assert f"=====BEGIN {name}=====\n{inside}\n=====END {name}=====\n" in text
    made = text.partition("=====BEGIN BOOTSTRAP=====\n")[2].partition("=====END")[0]
    assert json.loads(made) == bundle().bootstrap


def test_whether_the_sidecar_answers_dns_is_in_the_head() -> None:
    """So that the script leads no questions to where nobody answers."""
    answers = replace(bundle(), bootstrap={"node": {"metadata": {"DNS_CAPTURE": "true"}}})
    assert "dns: yes" in written(answers).splitlines()
    assert "dns: no" in written(bundle()).splitlines()


def test_the_token_is_told_by_its_name_alone() -> None:
    """Neither what is said of a bundle nor its value as text has it."""
    told = "\n".join(text for _, text in contents(bundle()))
    assert "0123456789ab, of spiffe://cluster.local/ns/default/sa/reviews, until 2027" in told
    assert TOKEN not in told
    assert TOKEN not in repr(bundle())
