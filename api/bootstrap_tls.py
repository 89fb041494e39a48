"""How an Envoy's bootstrap reaches the daemon over TLS, and by what it proves whose it is.

The daemon is known by its SPIFFE id, never by a host's name. A certificate is read again whenever its folder changes,
without a restart and without an end to streams. A join token stays in its file, and goes with every call to the daemon:
metadata of a gRPC service would have it in the bootstrap, and with the streams of xDS alone.
"""

from pathlib import Path

from betterproto2 import Message
from envoy_data_plane.envoy.config.core.v3 import (
    ApiVersion,
    ConfigSource,
    DataSource,
    PathConfigSource,
    TransportSocket,
    TypedExtensionConfig,
    WatchedDirectory,
)
from envoy_data_plane.envoy.extensions.filters.http.credential_injector.v3 import CredentialInjector
from envoy_data_plane.envoy.extensions.filters.http.upstream_codec.v3 import UpstreamCodec
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.envoy.extensions.http.injected_credentials.generic.v3 import Generic
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    CommonTlsContext,
    CommonTlsContextCombinedCertificateValidationContext,
    GenericSecret,
    SdsSecretConfig,
    Secret,
    SubjectAltNameMatcher,
    SubjectAltNameMatcherSanType,
    TlsParameters,
    TlsParametersTlsProtocol,
    UpstreamTlsContext,
)
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher
from envoy_data_plane.google.protobuf import Any as AnyMessage

from api.commands.cert.folder import IDENTITY, TRUST, sds_file
from api.daemon_tls import XdsTls

SERVER_NAME = "xdsd"
_TOKEN = "join-token"  # noqa: S105 - a name, no secret


def transport_socket(tls: XdsTls) -> TransportSocket:
    """TLS to the daemon, with the proxy's certificate if there is a folder of it."""
    matched = CertificateValidationContext(
        match_typed_subject_alt_names=[
            SubjectAltNameMatcher(
                san_type=SubjectAltNameMatcherSanType.URI, matcher=StringMatcher(exact=tls.server)
            )
        ]
    )
    if tls.root is not None:
        matched.trusted_ca = DataSource(filename=str(tls.root))
    common = CommonTlsContext(
        tls_params=TlsParameters(tls_minimum_protocol_version=TlsParametersTlsProtocol.TLSv1_2),
        alpn_protocols=["h2"],
    )
    if tls.folder is None:
        common.validation_context = matched
    else:
        common.tls_certificate_sds_secret_configs = [_secret(tls.folder, IDENTITY)]
        common.combined_validation_context = CommonTlsContextCombinedCertificateValidationContext(
            default_validation_context=matched,
            validation_context_sds_secret_config=_secret(tls.folder, TRUST),
        )
    context = UpstreamTlsContext(common_tls_context=common, sni=SERVER_NAME)
    return TransportSocket(name="envoy.transport_sockets.tls", typed_config=_any(context))


def secrets(tls: XdsTls) -> list[Secret]:
    """What Envoy reads from files when it starts."""
    if tls.token is None:
        return []
    return [Secret(name=_TOKEN, generic_secret=GenericSecret(secret=DataSource(filename=str(tls.token))))]


def filters(tls: XdsTls) -> list[HttpFilter]:
    """What stands before each call to the daemon: the join token is put in, whatever the call is for."""
    if tls.token is None:
        return []
    bearer = Generic(
        credential=SdsSecretConfig(name=_TOKEN), header="authorization", header_value_prefix="Bearer "
    )
    injector = CredentialInjector(
        overwrite=True,
        credential=TypedExtensionConfig(
            name="envoy.http.injected_credentials.generic", typed_config=_any(bearer)
        ),
    )
    return [
        HttpFilter(name="envoy.filters.http.credential_injector", typed_config=_any(injector)),
        HttpFilter(name="envoy.filters.http.upstream_codec", typed_config=_any(UpstreamCodec())),
    ]


def _secret(folder: Path, name: str) -> SdsSecretConfig:
    path = PathConfigSource(
        path=str(folder / sds_file(name)), watched_directory=WatchedDirectory(path=str(folder))
    )
    return SdsSecretConfig(
        name=name, sds_config=ConfigSource(path_config_source=path, resource_api_version=ApiVersion.V3)
    )


def _any(message: Message) -> AnyMessage:
    return AnyMessage.pack(message)
