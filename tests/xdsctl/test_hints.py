"""What is said of words that belong to other programs, or elsewhere in the line."""

import pytest

from tests.xdsctl.conftest import Xdsctl


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("proxy-status",), "there is no command 'proxy-status'; did you mean `xdsctl proxies`?"),
        (("proxy-config", "route", "x"), "did you mean `xdsctl config`?"),
        (("put", "a", "b"), "did you mean `xdsctl kv put`?"),
        (("txn",), "did you mean `xdsctl kv txn`?"),
        (("endpoint", "health"), "did you mean `xdsctl status`?"),
        (("describe", "vs", "reviews"), "for objects: xdsctl get virtualservice NAME -o yaml"),
        (("describe", "ep", "reviews"), "with their service: xdsctl describe service HOST"),
        (("describe", "pod", "reviews"), 'there is no kind "pod"'),
        (
            ("delete", "svc", "reviews"),
            "services are what registries report, and only read; write a ServiceEntry",
        ),
        (("get", "vs,services/reviews"), "a name needs one kind"),
        (("explain", "vs"), "did you mean `xdsctl schema KIND`?"),
        (("aply", "-f", "x"), "did you mean `xdsctl apply`?"),
        (("role", "revoke", "ada", "editor"), "did you mean `xdsctl role withdraw`?"),
        (("role", "grnt"), "did you mean `xdsctl role grant`?"),
        (("user", "tokn"), "did you mean `xdsctl user token`?"),
        (("kv", "gett"), "did you mean `xdsctl kv get`?"),
        (("get", "vs", "--endpoint", "x"), "--endpoint goes before the command: xdsctl --endpoint … get …"),
        (
            ("kv", "get", "a", "--token-file=x"),
            "--token-file goes before the command: xdsctl --token-file … kv get …",
        ),
        (("get", "vs", "--context", "x"), "--context goes before the command"),
    ],
)
def test_a_word_of_another_program_is_answered_with_ours(
    alone: Xdsctl, words: tuple[str, ...], sentence: str
) -> None:
    """With 2, as any wrong usage."""
    result = alone(*words)
    assert result.exit_code == 2
    assert sentence in " ".join(result.stderr.split())


def test_a_word_of_nobody_is_told_as_such(alone: Xdsctl) -> None:
    """Without guessing."""
    result = alone("nonsense")
    assert result.exit_code == 2
    assert result.stderr.endswith("Error: there is no command 'nonsense'\n")
    assert "No such option: --nonsense" in alone("get", "vs", "--nonsense").stderr.replace("'", "").replace(
        "option --", "option: --"
    )
