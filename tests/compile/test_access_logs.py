"""Access logs as pipelines made for Istio read them."""

from envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog

from xdsd.compile.access_logs import JSON_FORMAT, OFF, TEXT_FORMAT, AccessLog, LogEncoding, access_logs


def test_text_goes_to_standard_output_by_default() -> None:
    """Unless told otherwise a proxy logs lines of text to its standard output."""
    (log,) = access_logs(AccessLog())
    file = FileAccessLog()
    assert log.typed_config.Unpack(file)
    assert file.path == "/dev/stdout"
    assert file.log_format.text_format_source.inline_string == TEXT_FORMAT


def test_json_names_each_field() -> None:
    """JSON lines have one member a field."""
    (log,) = access_logs(AccessLog(path="/var/log/envoy.json", encoding=LogEncoding.JSON))
    file = FileAccessLog()
    assert log.typed_config.Unpack(file)
    assert file.path == "/var/log/envoy.json"
    assert dict(file.log_format.json_format.items()) == dict(JSON_FORMAT)


def test_both_formats_tell_the_same() -> None:
    """Every field of the text stands in the JSON too."""
    published = [field for name, field in JSON_FORMAT.items() if name != "downstream_peer_uri_san"]
    assert all(field in TEXT_FORMAT for field in published)
    assert TEXT_FORMAT.count("%") == sum(field.count("%") for field in published)


def test_an_empty_path_turns_logs_off() -> None:
    """Who wants no access log has none."""
    assert access_logs(OFF) == []


def test_formats_may_be_ones_own() -> None:
    """Text ends in a line break, given or not; JSON keeps what is nested in it."""
    for text in ("%PROTOCOL%", "%PROTOCOL%\n"):
        file = FileAccessLog()
        (log,) = access_logs(AccessLog(format=text))
        assert log.typed_config.Unpack(file)
        assert file.log_format.text_format_source.inline_string == "%PROTOCOL%\n"
    (log,) = access_logs(AccessLog(encoding=LogEncoding.JSON, format='{"a": {"b": ["%PROTOCOL%"]}}'))
    assert log.typed_config.Unpack(file)
    assert file.log_format.json_format["a"]["b"][0] == "%PROTOCOL%"
