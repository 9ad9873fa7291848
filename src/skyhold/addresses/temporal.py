"""The address of Temporal: host and port only, since everything else has variables of Temporal's own."""

from __future__ import annotations

from skyhold.addresses.urls import BadAddressError, parse_hosts


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of an address such as `localhost:7233`.

    Raises:
        BadAddressError: it is not such an address.
    """
    try:
        hosts = parse_hosts(text, is_encoded=False)
    except BadAddressError:
        hosts = ()
    host, port = hosts[0] if len(hosts) == 1 else ("", None)
    if port is None:
        raise BadAddressError("must be host:port, such as localhost:7233")
    return host, port
