"""Settings: where they come from, which wins, and what is refused."""

from contextlib import suppress
from datetime import timedelta
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from xdsd.config import (
    ConfigError,
    LogLevel,
    OutboundPolicy,
    RegistrySource,
    TcpAddress,
    UnixAddress,
    dump,
    load,
    settings,
)
from xdsd.model.key_type import KeyType
from xdsd.model.problem import Reason
from xdsd.setting_values import RedisLocation
from xdsd.settings import StoreAddress
from xdsd.state_dir import default_state_dir


def refused(
    flags: dict[str, object], file: Path | None = None, environ: dict[str, str] | None = None
) -> list[str]:
    """The sentences with which these settings are refused."""
    with pytest.raises(ConfigError) as caught:
        load(file, environ or {"HOME": "/home/u"}, flags, uid=1000)
    return [str(problem) for problem in caught.value.problems]


def test_a_user_gets_a_state_dir_of_their_own() -> None:
    """Without any setting, state and admin socket stand below the user's state home."""
    loaded = load(None, {"HOME": "/home/u"}, {}, uid=1000)
    assert loaded.state_dir == Path("/home/u/.local/state/xdsd")
    assert loaded.admin_address == UnixAddress(Path("/home/u/.local/state/xdsd/admin.sock"))
    assert loaded.xds_address == TcpAddress("127.0.0.1", 15010)
    assert loaded.http_address == TcpAddress("127.0.0.1", 15014)
    assert str(loaded.store) == "embedded"
    assert loaded.registry == ()


def test_root_keeps_state_in_var_lib() -> None:
    """Root's default is the system's folder, and XDG_STATE_HOME moves a user's."""
    assert default_state_dir({"HOME": "/root", "XDG_STATE_HOME": "/x"}, 0) == Path("/var/lib/xdsd")
    assert default_state_dir({"HOME": "/home/u", "XDG_STATE_HOME": "/x"}, 1000) == Path("/x/xdsd")


def test_later_places_win(tmp_path: Path) -> None:
    """A flag beats the environment, which beats the file; what only the file says stays."""
    file = tmp_path / "xdsd.yaml"
    file.write_text(
        "settle-quiet: 1ms\nsettle-max: 2s\nlog-level: debug\nregistry: [machines:/a, machines:/b]\n"
    )
    loaded = load(
        file,
        {"HOME": "/h", "XDSD_SETTLE_QUIET": "5ms", "XDSD_LOG_LEVEL": "warning", "OTHER": "x"},
        {"log_level": "error", "registry": (), "store": None},
        uid=1,
    )
    assert loaded.settle_max == timedelta(seconds=2)
    assert loaded.settle_quiet == timedelta(milliseconds=5)
    assert loaded.log_level is LogLevel.ERROR
    assert loaded.registry == (RegistrySource("machines", "/a"), RegistrySource("machines", "/b"))


def test_registries_of_a_flag_replace_those_of_the_file(tmp_path: Path) -> None:
    """A repeated setting is taken whole from the last place; the environment separates by commas."""
    file = tmp_path / "xdsd.yaml"
    file.write_text("registry: machines:/a\n")
    assert load(file, {}, {"registry": ("machines:/c",)}, uid=1).registry == (
        RegistrySource("machines", "/c"),
    )
    from_environ = load(file, {"XDSD_REGISTRY": "machines:/d,machines:/e"}, {}, uid=1).registry
    assert [source.location for source in from_environ] == ["/d", "/e"]


def test_the_environment_may_name_the_file(tmp_path: Path) -> None:
    """XDSD_CONFIG is read as the file where no other is given."""
    file = tmp_path / "xdsd.yaml"
    file.write_text("outbound-traffic-policy: REGISTRY_ONLY\n")
    loaded = load(None, {"XDSD_CONFIG": str(file)}, {}, uid=1)
    assert loaded.outbound_traffic_policy is OutboundPolicy.REGISTRY_ONLY


def test_variables_of_the_demo_and_of_scripts_are_no_settings() -> None:
    """Where Envoy is cached is nothing that the daemon is told, and nothing that it refuses."""
    environ = {
        "HOME": "/h",
        "XDSD_ENVOY": "/usr/bin/envoy",
        "XDSD_CACHE": "/c",
        "XDSD_VENV": "/v",
        "XDSD_PYTHON": "p",
    }
    assert load(None, environ, {}, uid=1) == load(None, {"HOME": "/h"}, {}, uid=1)


def test_settings_are_frozen() -> None:
    """Nobody changes a setting after it was loaded."""
    loaded = load(None, {"HOME": "/h"}, {}, uid=1)
    with pytest.raises(ValueError, match="frozen"):
        loaded.store = StoreAddress(())  # type: ignore[misc]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("xds_address", "[::1]:0", TcpAddress("::1", 0)),
        ("xds_address", "localhost:9", TcpAddress("localhost", 9)),
        ("admin_address", "unix:/run/x.sock", UnixAddress(Path("/run/x.sock"))),
        ("admin_address", "unix:///run/x.sock", UnixAddress(Path("/run/x.sock"))),
        ("settle_max", "1h30m", timedelta(minutes=90)),
        ("history_retention", "1d12h", timedelta(hours=36)),
        ("settle_quiet", "0", timedelta()),
        ("max_message_size", "512KiB", 524288),
        ("max_message_size", "70000", 70000),
        ("max_streams", "5", 5),
        ("mesh_domain", "mesh.example", "mesh.example"),
        ("xds_tls_address", "0.0.0.0:15012", TcpAddress("0.0.0.0", 15012)),
        ("ca_key_type", "rsa-2048", KeyType.RSA_2048),
        ("trust_domain", "mesh.example", "mesh.example"),
        ("dns_resolvers", "10.0.0.2,10.0.0.3:5353", ("10.0.0.2:53", "10.0.0.3:5353")),
        ("dns_resolvers", "fd00::2,[fd00::3]:5353", ("[fd00::2]:53", "[fd00::3]:5353")),
        ("virtual_addresses", "10.128.0.0/12", IPv4Network("10.128.0.0/12")),
        ("rate_limit_service", "127.0.0.1:8081", TcpAddress("127.0.0.1", 8081)),
        ("rate_limit_redis", "redis://[::1]:1/3", RedisLocation(TcpAddress("::1", 1), database=3)),
        ("rate_limit_redis", "redis://localhost", RedisLocation(TcpAddress("localhost", 6379))),
        ("rate_limit_redis", "rediss://cache:1", RedisLocation(TcpAddress("cache", 1), tls=True)),
        ("rate_limit_redis", "unix:///run/r.sock?db=2", RedisLocation(path="/run/r.sock", database=2)),
    ],
)
def test_values_are_written_as_people_write_them(field: str, value: str, expected: object) -> None:
    """Addresses, durations and sizes are parsed into values."""
    assert getattr(load(None, {"HOME": "/h"}, {field: value}, uid=1), field) == expected


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("xds_tls_address", "unix:/run/x", "--xds-tls-address: unix:/run/x is a socket of this machine"),
        ("dns_resolvers", "dns.example", "--dns-resolvers: 'dns.example' is not the address of a DNS server"),
        ("dns_resolvers", "10.0.0.2:99999", "--dns-resolvers: '10.0.0.2:99999' is not the address of"),
        ("virtual_addresses", "10.0.0.1/12", "--virtual-addresses: '10.0.0.1/12' is not an IPv4 range"),
        ("virtual_addresses", "fd00::/48", "--virtual-addresses: 'fd00::/48' is not an IPv4 range"),
        ("virtual_addresses", "10.0.0.0/24", "--virtual-addresses: '10.0.0.0/24' is too narrow"),
        ("trust_domain", "Cluster.Local", "--trust-domain: 'Cluster.Local' is no name of a trust domain"),
        (
            "vault_address",
            "http://vault.example:8200",
            "--vault-address: 'http://vault.example:8200' would show",
        ),
        ("vault_address", "https://vault.example/v1", "--vault-address: is not the address of a Vault"),
        ("vault_address", "vault.example", "--vault-address: is not the address of a Vault"),
        ("workload_cert_lifetime", "59s", "--workload-cert-lifetime: '59s' is refused"),
        ("ca_key_type", "dsa", "--ca-key-type: "),
        (
            "store",
            "etcd://a:1/path",
            "--store: 'a:1/path' is not an etcd endpoint: write HOST:PORT; who we are",
        ),
        ("store", "etcd://root:pw@a:1", "--store: "),
        (
            "rate_limit_service",
            "10.0.0.1:8081",
            "--rate-limit-service: proxies would speak plaintext to 10.0.0.1",
        ),
        ("rate_limit_service", "unix:/run/r", "--rate-limit-service: 'unix:/run/r' is not an address that"),
        (
            "rate_limit_redis",
            "redis://cache:1",
            "--rate-limit-redis: 'redis://cache:1' would speak plaintext",
        ),
        (
            "rate_limit_redis",
            "redis://:pw@localhost",
            "--rate-limit-redis: is not a Redis: write redis://HOST",
        ),
        ("rate_limit_redis", "cache:6379", "--rate-limit-redis: is not a Redis: write redis://HOST:PORT"),
        ("rate_limit_redis_password_file", "f", "--rate-limit-redis-password-file: is for a Redis; set"),
        ("store_ca", "ca.pem", "--store-ca: is for an etcd store, and the store is embedded"),
        ("foreign_keys", ("/xdsd/objects/",), "--foreign-keys: '/xdsd/objects/' holds keys of xdsd itself"),
        ("name", "a/b", "--name: 'a/b' is not a name"),
        ("store", "sqlite", "--store: 'sqlite' is not a store: write embedded, or etcd://HOST:PORT"),
        (
            "registry",
            ("consul:http://x",),
            "--registry: 'http://x' would be believed, and show the token, in",
        ),
        (
            "registry",
            ("consul:",),
            "--registry: 'consul:' is not a registry; write machines:PATH, consul:URL",
        ),
        ("registry", ("kubernetes:",), "--registry: 'kubernetes:' is not a registry; write machines:PATH"),
        ("registry", ("machines",), "--registry: 'machines' is not a registry; write machines:PATH, "),
        (
            "xds_address",
            "0.0.0.0:15010",
            "--xds-address: 0.0.0.0:15010 would speak plaintext beyond this machine",
        ),
        (
            "http_address",
            "10.0.0.1:80",
            "--http-address: 10.0.0.1:80 would speak plaintext beyond this machine",
        ),
        (
            "admin_address",
            "example.com:1",
            "--admin-address: example.com:1 can be reached from other machines, so it needs",
        ),
        (
            "xds_address",
            "15010",
            "--xds-address: '15010' is not an address: write HOST:PORT, [V6]:PORT or unix:PATH",
        ),
        ("xds_address", "127.0.0.1:99999", "--xds-address: '127.0.0.1:99999' is not an address"),
        (
            "admin_tls_address",
            "unix:/a",
            "--admin-tls-address: unix:/a is a socket of this machine; write HOST:PORT",
        ),
        (
            "admin_tls_address",
            "0.0.0.0:1",
            "--admin-tls-address: needs a certificate: set admin-tls-cert and",
        ),
        ("admin_address", "unix:/" + "x" * 110, "--admin-address: a socket's path has at most 107 bytes"),
        ("state_dir", "/" + "x" * 110, "--state-dir: a socket's path has at most 107 bytes"),
        ("settle_quiet", "10", "--settle-quiet: '10' is not a duration: write 10s for seconds"),
        ("settle_quiet", "1m", "--settle-quiet: settle-max is shorter than settle-quiet"),
        ("max_message_size", "1KiB", "--max-message-size: '1KiB' is refused: input should be greater than"),
        ("drain_time", "9" * 400 + "h", "--drain-time: '999"),
        ("max_message_size", "9" * 5000, "--max-message-size: "),
        ("max_message_size", "many", "--max-message-size: 'many' is not a size"),
        ("max_streams", "0", "--max-streams: '0' is refused: input should be greater than or equal to 1"),
        (
            "log_level",
            "loud",
            "--log-level: 'loud' is refused: input should be 'debug', 'info', 'warning' or 'error'",
        ),
        ("mesh_domain", "Not A Domain", "--mesh-domain: 'Not A Domain' is refused"),
        ("registry", ("machines:~nobody-here/x",), "--registry: ~nobody-here is the home of nobody here"),
        ("state_dir", "~nobody-here", "--state-dir: ~nobody-here is the home of nobody here"),
        ("state_dir", "a\0b", "--state-dir: "),
        ("store", "", "--store: is empty; leave it out for its default"),
        ("stor", "embedded", "--stor: is not a setting; did you mean --store?"),
    ],
)
def test_bad_values_are_refused_with_what_is_right(field: str, value: object, sentence: str) -> None:
    """Each refusal names the setting as it was written and says what would be right."""
    found = refused({field: value})
    assert len(found) == 1
    assert found[0].startswith(sentence)


def test_all_mistakes_of_all_places_come_at_once(tmp_path: Path) -> None:
    """A file's problem has its line, the environment's its variable, the command line's its flag."""
    file = tmp_path / "xdsd.yaml"
    file.write_text("state-dir: /s\n\nsettle-quite: 1ms\nmax-streams: 0\nstate-dir: /t\n")
    found = refused({"ack_wait": "-1s"}, file, {"XDSD_STROE": "embedded", "XDSD_DRAIN_TIME": "soon"})
    assert {sentence.split("; ")[0].split(": write")[0] for sentence in found} == {
        f"{file}:3: settle-quite: is not a setting",
        f"{file}:5: state-dir: was set in line 1 already",
        f"{file}:4: max-streams: 0 is refused: input should be greater than or equal to 1",
        "XDSD_STROE: is not a setting",
        "XDSD_DRAIN_TIME: 'soon' is not a duration",
        "--ack-wait: '-1s' is not a duration",
    }


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a: [1\n", "is not YAML"),
        (b"a: \xff\xfe\n", "is not YAML"),
        (b"- a\n", "is not a mapping of settings to values"),
        (b"[" * 5000, "is not YAML"),
        (b"a: &x [*x]\n", "is not YAML"),
        (b"? [1, 2]\n: 3\n", "is not"),
        (b"a: 1\n---\nb: 2\n", "is not YAML"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    """What cannot be read as settings is a problem that names the file, not a traceback."""
    file = tmp_path / "xdsd.yaml"
    file.write_bytes(content)
    found = refused({}, file)
    assert found[0].startswith(str(file))
    assert sentence in found[0]


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A file that was named must exist."""
    file = tmp_path / "none.yaml"
    assert refused({}, file) == [f"{file}: cannot be read: no such file or directory"]


def test_an_empty_file_sets_nothing(tmp_path: Path) -> None:
    """An empty file is a file without settings."""
    file = tmp_path / "xdsd.yaml"
    file.write_text("# nothing yet\n")
    assert load(file, {"HOME": "/h"}, {}, uid=1).store == StoreAddress()


def test_two_ports_never_share_an_address() -> None:
    """Listeners that would collide are refused before anything is bound; port 0 collides with nothing."""
    assert refused({"xds_address": "127.0.0.1:1", "http_address": "127.0.0.1:1"}) == [
        "--http-address: 127.0.0.1:1 is taken by xds-address; give each its own address"
    ]
    assert load(None, {"HOME": "/h"}, {"xds_address": "127.0.0.1:0", "http_address": "127.0.0.1:0"}, uid=1)


def test_refusals_carry_stable_reasons() -> None:
    """Programs tell refusals apart by reason."""
    with pytest.raises(ConfigError) as caught:
        load(
            None,
            {"XDSD_X": "1"},
            {"xds_address": "0.0.0.0:1", "max_streams": 0, "settle_max": "x"},
            uid=1,
        )
    assert {problem.path: problem.reason for problem in caught.value.problems} == {
        "XDSD_X": Reason.UNKNOWN_FIELD,
        "--xds-address": Reason.NOT_SUPPORTED,
        "--max-streams": Reason.OUT_OF_RANGE,
        "--settle-max": Reason.INVALID_VALUE,
    }


def test_every_setting_has_help_and_three_names() -> None:
    """The daemon's flags are made from this list."""
    found = {setting.name: setting for setting in settings()}
    assert found["settle-quiet"].flag == "--settle-quiet"
    assert found["settle-quiet"].variable == "XDSD_SETTLE_QUIET"
    assert found["registry"].repeatable
    assert found["log-format"].choices == ("auto", "console", "json")
    assert found["outbound-traffic-policy"].choices == ("ALLOW_ANY", "REGISTRY_ONLY")
    assert all(setting.help for setting in found.values())


FIELDS = sorted(setting.field for setting in settings())


@given(
    field=st.sampled_from(FIELDS),
    text=st.text(max_size=40)
    | st.sampled_from(["~", "machines:", "unix:", "127.0.0.1:", "etcd://"]).flatmap(
        lambda start: st.text(max_size=20).map(start.__add__)
    ),
)
def test_any_text_is_taken_or_refused(field: str, text: str) -> None:
    """No text makes a setting fail in any other way than with problems."""
    with suppress(ConfigError):
        load(None, {"HOME": "/h"}, {field: text}, uid=1)


@given(
    content=st.binary(max_size=80)
    | st.text(alphabet="-{}[]:&*!|> \nabstate-dir01", max_size=60).map(str.encode)
)
@settings_of_hypothesis(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_file_is_taken_or_refused(tmp_path: Path, content: bytes) -> None:
    """No content of a file makes loading fail in any other way than with problems."""
    file = tmp_path / "xdsd.yaml"
    file.write_bytes(content)
    with suppress(ConfigError):
        load(file, {"HOME": "/h"}, {}, uid=1)


@given(
    quiet=st.integers(0, 10**7).map(lambda microseconds: timedelta(microseconds=microseconds)),
    longer=st.integers(0, 10**6).map(lambda seconds: timedelta(seconds=seconds)),
    streams=st.integers(1, 10**6),
)
@settings_of_hypothesis(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_what_is_dumped_loads_to_the_same(
    tmp_path: Path, quiet: timedelta, longer: timedelta, streams: int
) -> None:
    """A dump is a file with the same settings."""
    flags = {
        "settle_quiet": quiet,
        "settle_max": quiet + longer,
        "max_streams": streams,
        "registry": ("machines:/a", "machines:/b"),
        "http_address": "[::1]:80",
    }
    loaded = load(None, {"HOME": "/h"}, flags, uid=1)
    file = tmp_path / "dumped.yaml"
    file.write_text(dump(loaded))
    assert load(file, {}, {}, uid=0) == loaded


def test_a_dump_reads_as_people_write() -> None:
    """Durations have units, registries are a list, what is not set is left out."""
    text = dump(load(None, {"HOME": "/h"}, {"registry": ("machines:/a",), "ack_wait": "2m"}, uid=1))
    assert "state-dir: /h/.local/state/xdsd\n" in text
    assert "settle-quiet: 10ms\nsettle-max: 100ms\n" in text
    assert "registry:\n- machines:/a\n" in text
    assert "ack-wait: 2m\ndrain-time: 5s\n" in text
    assert "tls" not in text


def test_one_counts() -> None:
    """A service that counts needs no Redis of the daemon's."""
    assert refused({"rate_limit_service": "127.0.0.1:1", "rate_limit_redis": "redis://127.0.0.1"}) == [
        "--rate-limit-redis: is for a daemon that counts itself, and 127.0.0.1:1 does; leave one of both out"
    ]
