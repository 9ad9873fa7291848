"""TLS contexts for an address: made from the files that it names, and from nothing else on this machine.

Drivers would read certificates and keys from the user's home and from variables that are meant for other servers.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from skyhold.addresses.urls import BadAddressError

SYSTEM = "system"
"""Value instead of a CA file: use the authorities that this machine trusts."""


@dataclass(frozen=True)
class TlsFiles:
    """The files of a TLS client; `names` are the names of their parameters, for error messages."""

    authorities: str | None = None
    certificate: str | None = None
    key: str | None = None
    key_password: str | None = None
    revoked: str | None = None
    names: tuple[str, str, str, str] = ("sslrootcert", "sslcert", "sslkey", "sslcrl")

    def context(self, *, verifies: bool, checks_name: bool) -> ssl.SSLContext:
        """Return a context for a client.

        Raises:
            BadAddressError: a file that is named cannot be used.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = checks_name
        context.verify_mode = ssl.CERT_REQUIRED if verifies else ssl.CERT_NONE
        authorities, certificate, key, revoked = self.names
        if self.authorities == SYSTEM:
            context.load_default_certs()
        elif self.authorities:
            _load(authorities, self.authorities, context)
        if self.revoked:
            _load(revoked, self.revoked, context)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
        if self.certificate:
            require_file(certificate, self.certificate)
            require_file(key, self.key or self.certificate)
            try:
                context.load_cert_chain(self.certificate, self.key, lambda: self.key_password or "")
            except (OSError, ValueError) as error:  # SSLError is an OSError
                raise BadAddressError(
                    f"has a {certificate} and a {key} that do not belong together, or cannot be opened"
                ) from error
        return context


def require_file(name: str, path: str) -> None:
    """Check that the file of a parameter can be read.

    Raises:
        BadAddressError: it cannot.
    """
    try:
        with Path(path).open("rb"):
            pass
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "not a path"
        raise BadAddressError(f"has a {name} that cannot be read: {reason}") from error


def _load(name: str, path: str, context: ssl.SSLContext) -> None:
    require_file(name, path)
    try:
        context.load_verify_locations(cafile=path)
    except OSError as error:
        raise BadAddressError(f"has a {name} with no certificate in it (PEM)") from error
