"""Keyed hashes under SECRET_KEY, each for one purpose: without the key they can be neither made nor guessed."""

from __future__ import annotations

import base64
import hmac


class Signer:
    """Makes and compares signer, which are keyed hashes; the key never leaves the object."""

    def __init__(self, secret_key: str) -> None:
        self._secret_key = secret_key.encode()

    def sign(self, purpose: str, *parts: str) -> bytes:
        """Return the keyed hash of these parts, 32 bytes; each part is hashed with its length, to keep parts apart."""
        words = [part.encode("utf-8", "surrogatepass") for part in (purpose, *parts)]
        return hmac.digest(self._secret_key, b"".join(b"%d:%b" % (len(word), word) for word in words), "sha256")

    def text(self, purpose: str, *parts: str) -> str:
        """Return the seal as 43 characters that may stand in a URL, a header or a cookie."""
        return base64.urlsafe_b64encode(self.sign(purpose, *parts)).rstrip(b"=").decode()

    def is_text(self, seal: str, purpose: str, *parts: str) -> bool:
        """Return whether the seal is that of these parts, compared in constant time."""
        return hmac.compare_digest(seal.encode("utf-8", "surrogatepass"), self.text(purpose, *parts).encode())
