"""Why Temporal cannot be reached: what its client's errors mean, and which variable would mend it.

The client is a library of Rust beneath one of Python and has no types for this: it says all of it in the text of one
error. So the text is judged, by one table, and a text that no row knows still gives one clear sentence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from temporalio.service import RPCError, RPCStatusCode, TLSConfig

from skyhold.setting_errors import BadSettingError

CLIENT_FILES = "TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH"

UNSENDABLE = "TEMPORAL_API_KEY, TEMPORAL_GRPC_META_*: one of them has characters that cannot be sent"

SILENT = "it takes connections and does not answer; look for what keeps it, or correct TEMPORAL_ADDRESS"

_FALLBACK = "it does not answer; check TEMPORAL_ADDRESS and TEMPORAL_TLS"


class TemporalFailure(Exception):
    """Temporal cannot be reached; the message says where, why, and which variable to change."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"Temporal at {where} cannot be reached: {why}.")


@dataclass(frozen=True)
class Credentials:
    """What a client was told to bring: TLS or none, a certificate of its own or none."""

    is_encrypted: bool
    has_certificate: bool

    @classmethod
    def of(cls, *, tls: TLSConfig | bool | None, api_key: str | None) -> Credentials:
        """Judge by the arguments of a client; a key turns TLS on by itself."""
        has_certificate = isinstance(tls, TLSConfig) and tls.client_cert is not None
        return cls(bool(tls) or (tls is None and api_key is not None), has_certificate)


_BY_TEXT: tuple[tuple[str, str], ...] = (
    (
        r"InvalidCertificate\(NotValidForName",
        "its certificate is not for this name{names}; set TEMPORAL_TLS_SERVER_NAME to one that it is for",
    ),
    (
        r"InvalidCertificate\((Expired|NotValidYet)",
        "its certificate is not valid now; renew it, or set the clock of this machine",
    ),
    (
        r"InvalidCertificate",
        "its certificate is of an authority that is not trusted; name its file by TEMPORAL_TLS_SERVER_CA_CERT_PATH",
    ),
    (r"InvalidMessage|CorruptMessage", "it does not speak TLS; set TEMPORAL_TLS=false"),
    (
        r"received fatal alert: (Certificate\w*|BadCertificate|UnknownCA|AccessDenied|DecryptError)",
        "{certificate}",
    ),
    (
        r"fatal alert|HandshakeFailure|ProtocolVersion",
        "it does not agree to TLS as it is asked for; check TEMPORAL_TLS_*",
    ),
    (r"H2NotNegotiated", "what answers is not Temporal; correct TEMPORAL_ADDRESS"),
    (r"h2 protocol error|http2 error", "what answers is not gRPC. {cut_off}"),
    (r"dns error", "its name is not known; correct TEMPORAL_ADDRESS"),
    (r"ConnectionRefused", "nothing listens there; start it, or correct TEMPORAL_ADDRESS"),
    (r"tcp connect error|timed out", "no connection comes about; start it, or correct TEMPORAL_ADDRESS"),
    (r"TimeoutExpired|Timeout expired", SILENT),
    (
        # A server that hangs up is noticed at one of many places, each with words of its own.
        r"after connection.*hyper::Error|[Bb]roken ?[Pp]ipe|ConnectionReset|ConnectionAborted|UnexpectedEof",
        "it closes the connection. {cut_off}",
    ),
)
"""By what the text has in it, the first row that fits."""

_OF_SETTINGS: tuple[tuple[str, str], ...] = (
    (r"PrivateKeyParseError", "TEMPORAL_TLS_CLIENT_KEY_PATH: has no private key in it (PEM)"),
    (r"CertificateParseError|NoCertificatesPresented", "TEMPORAL_TLS_CLIENT_CERT_PATH: has no certificate in it (PEM)"),
    (r"InconsistentKeys|KeyMismatch", f"{CLIENT_FILES}: do not belong together"),
    (r"Invalid URI|InvalidDnsName", "TEMPORAL_ADDRESS, TEMPORAL_TLS_SERVER_NAME: one of them is no name of a host"),
    (r"Invalid headers", UNSENDABLE),
)
"""What is wrong before any server is asked; waiting does not help."""

_BY_STATUS = {
    RPCStatusCode.UNAUTHENTICATED: "it does not know who asks; correct TEMPORAL_API_KEY",
    RPCStatusCode.PERMISSION_DENIED: "it denies permission; correct TEMPORAL_API_KEY, TEMPORAL_NAMESPACE or "
    "the client's certificate",
    RPCStatusCode.DEADLINE_EXCEEDED: SILENT,
    RPCStatusCode.CANCELLED: SILENT,
    RPCStatusCode.RESOURCE_EXHAUSTED: "it takes no more requests at the moment",
}

_STATUS_IN_TEXT = re.compile(r"Status \{ code: (\w+)")

_PRESENTED = re.compile(r'DnsName\(\\?"([A-Za-z0-9.*_-]+)\\?"\)')


def why_unreachable(error: BaseException, credentials: Credentials) -> str:
    """Return why a client did not reach Temporal, and which variable to change; never anything secret.

    Raises:
        BadSettingError: no server has any part in it.
    """
    if isinstance(error, TimeoutError):
        return SILENT
    text = str(error)
    for pattern, setting in _OF_SETTINGS:
        if re.search(pattern, text):
            raise BadSettingError(setting) from error
    if status := _status_of(error, text):
        return _BY_STATUS[status]
    for pattern, why in _BY_TEXT:
        if re.search(pattern, text):
            return why.format(
                names=_names_in(text), certificate=_certificate(credentials), cut_off=_cut_off(credentials)
            )
    return _FALLBACK


def _status_of(error: BaseException, text: str) -> RPCStatusCode | None:
    """Return the status that a server answered with, or that stands for its silence, if it says enough by itself."""
    if isinstance(error, RPCError):
        return error.status if error.status in _BY_STATUS else None
    said = _STATUS_IN_TEXT.search(text)
    named = {"Unauthenticated", "PermissionDenied", "ResourceExhausted"}
    if said is None or said[1] not in named:
        return None
    return RPCStatusCode[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", said[1]).upper()]


def _certificate(credentials: Credentials) -> str:
    if credentials.has_certificate:
        return f"it refuses the client's certificate; correct {CLIENT_FILES}"
    return f"it wants a certificate of the client; set {CLIENT_FILES}"


def _cut_off(credentials: Credentials) -> str:
    """Return what a server that says nothing and closes most likely misses."""
    if not credentials.is_encrypted:
        return "If it expects TLS, set TEMPORAL_TLS=true; if it is not Temporal, correct TEMPORAL_ADDRESS"
    if credentials.has_certificate:
        return f"If it does not accept the client's certificate, correct {CLIENT_FILES}"
    return f"If it wants a certificate of the client, set {CLIENT_FILES}"


def _names_in(text: str) -> str:
    presented = text.partition("presented:")[2]
    names = _PRESENTED.findall(presented)[:3]
    return f", but for {', '.join(names)}" if names else ""
