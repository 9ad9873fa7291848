"""Reasons why Temporal cannot be reached: the meaning of its client's errors, and the variable to correct.

The client is a Rust library below a Python one and has no types for this: all details are in the text of one error. So
the text is matched against one table, and a text without a match still gives one clear sentence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from temporalio.service import RPCError, RPCStatusCode, TLSConfig

from skyhold.setting_errors import BadSettingError

CLIENT_FILES = "TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH"

UNSENDABLE = "TEMPORAL_API_KEY, TEMPORAL_GRPC_META_*: one of them has characters that cannot be sent"

SILENT = "it takes connections and does not answer; check the server, or correct TEMPORAL_ADDRESS"

_FALLBACK = "it does not answer; check TEMPORAL_ADDRESS and TEMPORAL_TLS"


class TemporalFailure(Exception):
    """Temporal cannot be reached; the message has its address, the reason, and the variable to change."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"Temporal at {where} cannot be reached: {why}.")


@dataclass(frozen=True)
class Credentials:
    """The credentials with which a client is configured: TLS or not, a certificate of its own or not."""

    is_encrypted: bool
    has_certificate: bool

    @classmethod
    def of(cls, *, tls: TLSConfig | bool | None, api_key: str | None) -> Credentials:
        """Return the credentials in the arguments of a client; an API key turns TLS on by itself."""
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
        "it refuses the client's TLS parameters; check TEMPORAL_TLS_*",
    ),
    (r"H2NotNegotiated", "the server there is not Temporal; correct TEMPORAL_ADDRESS"),
    (r"h2 protocol error|http2 error", "the answer is not gRPC. {cut_off}"),
    (r"dns error", "its name is not known; correct TEMPORAL_ADDRESS"),
    (r"ConnectionRefused", "nothing listens there; start it, or correct TEMPORAL_ADDRESS"),
    (r"tcp connect error|timed out", "no connection is possible; start it, or correct TEMPORAL_ADDRESS"),
    (r"TimeoutExpired|Timeout expired", SILENT),
    (
        # A closed connection is noticed at one of many places, each with an error text of its own.
        r"after connection.*hyper::Error|[Bb]roken ?[Pp]ipe|ConnectionReset|ConnectionAborted|UnexpectedEof",
        "it closes the connection. {cut_off}",
    ),
)
"""Reasons by a pattern in the error's text; the first match counts."""

_OF_SETTINGS: tuple[tuple[str, str], ...] = (
    (r"PrivateKeyParseError", "TEMPORAL_TLS_CLIENT_KEY_PATH: has no private key in it (PEM)"),
    (r"CertificateParseError|NoCertificatesPresented", "TEMPORAL_TLS_CLIENT_CERT_PATH: has no certificate in it (PEM)"),
    (r"InconsistentKeys|KeyMismatch", f"{CLIENT_FILES}: do not belong together"),
    (r"Invalid URI|InvalidDnsName", "TEMPORAL_ADDRESS, TEMPORAL_TLS_SERVER_NAME: one of them is not a host name"),
    (r"Invalid headers", UNSENDABLE),
)
"""Wrong settings, found before any server is called; waiting does not help."""

_BY_STATUS = {
    RPCStatusCode.UNAUTHENTICATED: "it does not accept the credentials; correct TEMPORAL_API_KEY",
    RPCStatusCode.PERMISSION_DENIED: "it denies permission; correct TEMPORAL_API_KEY, TEMPORAL_NAMESPACE or "
    "the client's certificate",
    RPCStatusCode.DEADLINE_EXCEEDED: SILENT,
    RPCStatusCode.CANCELLED: SILENT,
    RPCStatusCode.RESOURCE_EXHAUSTED: "it takes no more requests at the moment",
}

_STATUS_IN_TEXT = re.compile(r"Status \{ code: (\w+)")

_PRESENTED = re.compile(r'DnsName\(\\?"([A-Za-z0-9.*_-]+)\\?"\)')


def why_unreachable(error: BaseException, credentials: Credentials) -> str:
    """Return the reason why a client did not reach Temporal, with the variable to change and without secrets.

    Raises:
        BadSettingError: the cause is a setting, not the server.
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
    """Return the server's status, or the one that stands for its silence, if `_BY_STATUS` has a reason for it."""
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
    """Return the most likely remedy if a server closes the connection without an answer."""
    if not credentials.is_encrypted:
        return "If it expects TLS, set TEMPORAL_TLS=true; if it is not Temporal, correct TEMPORAL_ADDRESS"
    if credentials.has_certificate:
        return f"If it does not accept the client's certificate, correct {CLIENT_FILES}"
    return f"If it wants a certificate of the client, set {CLIENT_FILES}"


def _names_in(text: str) -> str:
    presented = text.partition("presented:")[2]
    names = _PRESENTED.findall(presented)[:3]
    return f", but for {', '.join(names)}" if names else ""
