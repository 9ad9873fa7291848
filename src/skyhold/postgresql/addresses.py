"""The schema of the ledger, read from the options of an address.

It is named as for libpq and psql: `options=-csearch_path=NAME`. Without that it is `public`, whatever the defaults of
the role or the database are, so that the address alone determines the ledger.
"""

from __future__ import annotations

import re

from skyhold.postgresql.errors import PostgresMisconfigured

DEFAULT_SCHEMA = "public"

_SEARCH_PATH = re.compile(r"(?:-c\s*|--)search[_-]path=((?:\\.|[^\s\\])*)", re.IGNORECASE)
_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*", re.IGNORECASE)
_NEEDS_NO_QUOTES = re.compile(r"[a-z_][a-z0-9_]*")
_QUOTED = re.compile(r'"([^"]+)"')


def schema_of(options: str) -> str:
    """Return the name of the ledger's schema.

    Raises:
        PostgresMisconfigured: the options name more than one schema, or an invalid one.
    """
    named = _SEARCH_PATH.findall(options)
    if not named:
        return DEFAULT_SCHEMA
    text = re.sub(r"\\(.)", r"\1", named[-1])
    if (quoted := _QUOTED.fullmatch(text)) and quoted[1] != "$user":
        return quoted[1]
    if _PLAIN.fullmatch(text):
        return text.lower()  # as PostgreSQL reads a name without quotes
    raise PostgresMisconfigured(
        "the search_path in the options of its address is not the name of one schema",
        "Write ?options=-csearch_path%3DNAME in DATABASE_URL.",
    )


def quoted(name: str) -> str:
    """Return the name quoted for SQL if necessary, as PostgreSQL shows it in a search path."""
    return name if _NEEDS_NO_QUOTES.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def is_schema_named(options: str) -> bool:
    """Return whether the options name the schema."""
    return bool(_SEARCH_PATH.search(options))
