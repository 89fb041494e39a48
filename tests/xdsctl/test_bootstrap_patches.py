"""Bootstraps with what EnvoyFilters say of them."""

from pathlib import Path

import pytest
import yaml

from tests.lab.envoy import validate
from tests.xdsctl.conftest import Xdsctl

FILTER = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: stats}
spec:
  workloadSelector: {labels: {app: web}}
  configPatches:
  - applyTo: BOOTSTRAP
    patch:
      operation: MERGE
      value:
        stats_flush_interval: 9s
        stats_sinks:
        - name: envoy.stat_sinks.statsd
          typed_config:
            "@type": type.googleapis.com/envoy.config.metrics.v3.StatsdSink
            address: {socket_address: {address: 127.0.0.1, port_value: 8125, protocol: UDP}}
  - applyTo: BOOTSTRAP
    match: {proxy: {metadata: {ISTIO_VERSION: 1.20.0}}}
    patch: {operation: MERGE, value: {stats_config: {use_all_default_tags: true}}}
  - applyTo: CLUSTER
    patch: {operation: ADD, value: {name: x, type: STATIC}}
"""
WEB = ("bootstrap", "--name", "web-1", "--labels", "app=web")


@pytest.mark.e2e
async def test_patches_of_files_are_merged(alone: Xdsctl, tmp_path: Path) -> None:
    """What is added stands beside what was there, other proxies' bootstraps are as they were, and Envoy takes it."""
    result = alone(*WEB, "-f", "-", input=FILTER)
    assert result.exit_code == 0, result.output
    made = yaml.safe_load(result.stdout)
    assert made["statsFlushInterval"] == "9s"
    assert [each["name"] for each in made["statsSinks"]] == ["envoy.stat_sinks.statsd"]
    plain = yaml.safe_load(alone(*WEB).stdout)
    assert set(made) == {*plain, "statsFlushInterval", "statsSinks"}
    assert made["node"] == plain["node"]
    assert await validate(made, tmp_path) == ""
    other = ("bootstrap", "--name", "other", "--labels", "app=other")
    assert alone(*other, "-f", "-", input=FILTER).stdout == alone(*other).stdout


def test_patches_of_the_daemon_are_merged(xdsctl: Xdsctl) -> None:
    """--patched asks it, and nothing else does."""
    assert xdsctl("apply", "-f", "-", input=FILTER).exit_code == 0
    assert yaml.safe_load(xdsctl(*WEB, "--patched").stdout)["statsFlushInterval"] == "9s"
    assert "statsFlushInterval" not in yaml.safe_load(xdsctl(*WEB).stdout)


def test_metadata_is_said_and_matched(alone: Xdsctl) -> None:
    """Further metadata goes to the node, and what our own options say counts more."""
    words = ("--metadata", "ISTIO_VERSION=1.20.0,NAME=x")
    metadata = yaml.safe_load(alone(*WEB, *words).stdout)["node"]["metadata"]
    assert (metadata["ISTIO_VERSION"], metadata["NAME"]) == ("1.20.0", "web-1")
    matched = yaml.safe_load(alone(*WEB, *words, "-f", "-", input=FILTER).stdout)
    unmatched = yaml.safe_load(alone(*WEB, "-f", "-", input=FILTER).stdout)
    assert matched["statsConfig"]["useAllDefaultTags"] is True
    assert unmatched["statsConfig"]["useAllDefaultTags"] is False


def test_a_patch_that_leaves_no_bootstrap_is_refused(alone: Xdsctl) -> None:
    """It would keep Envoy from starting."""
    wrong = FILTER.replace("stats_flush_interval: 9s", "stats_flush_interval: 0.0001s")
    result = alone(*WEB, "-f", "-", input=wrong)
    assert result.exit_code == 1
    assert "configPatches[0]" in result.stderr
    assert "stats_flush_interval" in result.stderr
