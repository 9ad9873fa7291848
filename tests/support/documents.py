"""Comparison of replies with the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

EVERYWHERE = frozenset(
    {
        *("content-length", "content-type", "date", "transfer-encoding", "connection"),
        *("content-security-policy", "cross-origin-resource-policy", "referrer-policy", "x-content-type-options"),
    }
)
"""Headers of HTTP itself, and those that the document states for every reply."""


def undocumented_headers(operation: dict[str, Any], status: int, headers: Iterable[str]) -> set[str]:
    """Return the headers of a reply that the operation does not list for this status."""
    documented = operation["responses"].get(str(status), {}).get("headers", {})
    return {name.lower() for name in headers} - EVERYWHERE - {name.lower() for name in documented}
