"""Where proxies find what a resource refers to: on the stream on which they found the resource."""

from envoy.config.core.v3.config_source_pb2 import AggregatedConfigSource, ApiVersion, ConfigSource
from google.protobuf.duration_pb2 import Duration


def ads() -> ConfigSource:
    """The proxy's own stream, without a fetch timeout: a listener without its routes keeps warming while the old one serves
    on, instead of answering 404 to everybody once the wait is over.
    """
    return ConfigSource(
        ads=AggregatedConfigSource(), initial_fetch_timeout=Duration(), resource_api_version=ApiVersion.V3
    )
