"""Envoy's resources as JSON."""

import json
import subprocess
import sys

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from google.protobuf.any_pb2 import Any as AnyMessage

from api.decode import decode, lazy_pool, to_json

UNKNOWN = AnyMessage(type_url="type.googleapis.com/acme.Thing", value=b"\x01\x02")


def packed(message: Cluster) -> AnyMessage:
    wrapped = AnyMessage()
    wrapped.Pack(message)
    return wrapped


def test_a_message_is_decoded_to_its_class() -> None:
    """The class comes from the type URL."""
    assert decode(packed(Cluster(name="x")), lazy_pool()).name == "x"


def test_an_unknown_type_is_shown_as_it_is() -> None:
    """Bytes of a type that is not installed are shown in base64; nothing fails."""
    assert to_json(UNKNOWN, lazy_pool()) == {"@type": "type.googleapis.com/acme.Thing", "value": "AQI="}


def test_a_message_with_an_unknown_type_inside_is_shown_as_it_is() -> None:
    """A nested extension that nobody knows does not keep the rest from being printed."""
    cluster = Cluster(name="x")
    cluster.typed_extension_protocol_options["k"].CopyFrom(UNKNOWN)
    assert (
        to_json(packed(cluster), lazy_pool())["@type"]
        == "type.googleapis.com/envoy.config.cluster.v3.Cluster"
    )


def test_nested_extensions_are_imported_when_met() -> None:
    """A fresh process that imported no extension prints one all the same."""
    name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    cluster = Cluster(name="x")
    nested = AnyMessage(type_url=f"type.googleapis.com/{name}", value=bytes([26, 2, 10, 0]))
    cluster.typed_extension_protocol_options[name].CopyFrom(nested)
    program = (
        "import json, sys; from google.protobuf.any_pb2 import Any; from api.decode import lazy_pool, to_json;"
        "print(json.dumps(to_json(Any.FromString(bytes.fromhex(sys.argv[1])), lazy_pool())))"
    )
    wrapped = packed(cluster).SerializeToString().hex()
    done = subprocess.run(
        [sys.executable, "-c", program, wrapped], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["typedExtensionProtocolOptions"][name] == {
        "@type": f"type.googleapis.com/{name}",
        "explicitHttpConfig": {"httpProtocolOptions": {}},
    }
