"""The schema that the address names: its owner (Skyhold or another application), its version, the role's rights."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from skyhold.postgresql.errors import PostgresForbidden, PostgresMisconfigured, one_line
from skyhold.postgresql.pools import Pool
from skyhold.postgresql.sessions import Connection

RIGHTS: Mapping[str, frozenset[str]] = {
    "alembic_version": frozenset({"SELECT"}),
    "cabins": frozenset({"SELECT"}),
    "flights": frozenset({"SELECT"}),
    "gateway_statement": frozenset({"SELECT", "INSERT", "UPDATE"}),
    "idempotency_keys": frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"}),
    "instance": frozenset({"SELECT"}),
    "order_events": frozenset({"SELECT", "INSERT"}),
    "order_seats": frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"}),
    "orders": frozenset({"SELECT", "INSERT", "UPDATE"}),
    "payment_attempts": frozenset({"SELECT", "INSERT", "UPDATE"}),
    "payments": frozenset({"SELECT", "INSERT", "UPDATE"}),
    "seats": frozenset({"SELECT", "UPDATE"}),
}
"""The rights that API and workers need on each table of the ledger; a test compares the tables with the schema."""

FIRST_TABLES = frozenset(RIGHTS) - {"alembic_version", "idempotency_keys", "instance"}
"""The tables of the first version; no other application has all of them."""

_VERSION_TABLE = "alembic_version"
_VERSION = re.compile(r"[0-9]{4}")

_PLACE = """
SELECT quote_ident(current_user) AS role, quote_ident($1) AS quoted, n.oid IS NOT NULL AS is_there,
       coalesce(has_schema_privilege(n.oid, 'USAGE'), false) AS may_use,
       coalesce(has_schema_privilege(n.oid, 'CREATE'), false) AS may_create,
       ARRAY(SELECT relname::text FROM pg_class WHERE relnamespace = n.oid AND relname = ANY($2)) AS tables,
       EXISTS (SELECT FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'version_num'
               WHERE c.relnamespace = n.oid AND c.relname = 'alembic_version') AS has_version,
       ARRAY(SELECT quote_ident(other.nspname) FROM pg_class c JOIN pg_namespace other ON other.oid = c.relnamespace
             WHERE c.relname = ANY($3) AND other.oid <> n.oid
             GROUP BY other.nspname HAVING count(*) = cardinality($3::text[]) ORDER BY 1 LIMIT 3) AS elsewhere,
       ARRAY(SELECT format('%s on %s', wanted.privilege, wanted.name)
             FROM unnest($4::text[], $5::text[]) AS wanted (name, privilege)
             JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.name
             WHERE NOT has_table_privilege(c.oid, wanted.privilege) ORDER BY 1) AS missing
FROM (VALUES ($1)) AS wanted (name) LEFT JOIN pg_namespace n ON n.nspname = wanted.name
"""

_VERSIONS = "SELECT version_num FROM alembic_version LIMIT 2"

_WANTED = [(table, right) for table, rights in sorted(RIGHTS.items()) for right in sorted(rights)]


@dataclass(frozen=True)
class LedgerSchema:
    """A schema as the role sees it. Names of schema and role are quoted for SQL."""

    name: str
    role: str
    is_there: bool
    may_use: bool
    may_create: bool
    versions: tuple[str, ...]
    tables: frozenset[str]
    elsewhere: tuple[str, ...]
    missing_rights: tuple[str, ...]

    @property
    def version(self) -> str | None:
        """The version that the ledger is at; None if there is none."""
        return self.versions[0] if self.versions else None

    @property
    def may_read(self) -> bool:
        """True if the role may at least read the whole ledger."""
        return not any(right.startswith("SELECT ") for right in self.missing_rights)

    def require_ours(self, *, is_named: bool) -> None:
        """Check that the schema has our ledger, of any release, or is free for one.

        With `is_named` the address names the schema explicitly, so a ledger in another one is ignored.

        Raises:
            PostgresMisconfigured: it does not exist, is not usable, or is another application's.
        """
        if not self.is_there:
            raise PostgresMisconfigured(f"schema {self.name} does not exist", self._own_schema())
        if not self.may_use:
            grant = f"GRANT USAGE ON SCHEMA {self.name} TO {self.role}."
            raise PostgresForbidden(f"permission denied for schema {self.name}", grant)
        if f"SELECT on {_VERSION_TABLE}" in self.missing_rights:
            grant = f"GRANT SELECT ON {_VERSION_TABLE} TO {self.role}, if it is the ledger's. {self._own_schema()}"
            raise PostgresForbidden(f"permission denied for table {_VERSION_TABLE}", grant)
        if not self.versions:
            self._require_empty(is_named=is_named)
        elif len(self.versions) > 1 or not _VERSION.fullmatch(self.versions[0]):
            raise self._foreign(_VERSION_TABLE)
        elif missing := sorted(FIRST_TABLES - self.tables):
            raise PostgresMisconfigured(
                f"schema {self.name} has an {_VERSION_TABLE} and no {', '.join(missing)}: it is another application's, "
                "or the ledger is damaged",
                self._own_schema(),
            )

    def require_migratable(self, known: Sequence[str]) -> None:
        """Check that this release can migrate the ledger and the role may; `known` are its versions, oldest first.

        Raises:
            PostgresMisconfigured: the ledger is newer, or the role may not create a table.
        """
        if self.version is not None and self.version not in known:
            raise PostgresMisconfigured(
                f"the ledger is at version {self.version}, and this release knows versions up to {known[-1]}",
                "Run the newer release of Skyhold.",
            )
        if self.version != known[-1] and not self.may_create:
            grant = f"GRANT CREATE ON SCHEMA {self.name} TO {self.role}, or: {self._own_schema()}"
            raise PostgresForbidden(f"permission denied for schema {self.name}", grant)

    def require_rights(self) -> None:
        """Check that the role has the rights that API and workers need.

        Raises:
            PostgresForbidden: it does not.
        """
        if self.missing_rights:
            rights = ", ".join(self.missing_rights)
            grants = "; ".join(f"GRANT {right} TO {self.role}" for right in self.missing_rights)
            raise PostgresForbidden(one_line(f"the role {self.role} lacks {rights}"), f"{grants}.")

    def _require_empty(self, *, is_named: bool) -> None:
        if self.tables:
            raise self._foreign(*sorted(self.tables))
        if self.elsewhere and not is_named:
            names = ", ".join(self.elsewhere)
            raise PostgresMisconfigured(
                f"schema {self.name} has no ledger, and there is one in {names}",
                "Name the schema that is meant: ?options=-csearch_path%3DNAME in DATABASE_URL.",
            )

    def _foreign(self, *tables: str) -> PostgresMisconfigured:
        return PostgresMisconfigured(
            f"schema {self.name} has tables of another application: {', '.join(tables)}", self._own_schema()
        )

    def _own_schema(self) -> str:
        return (
            f"Give Skyhold a schema of its own: CREATE SCHEMA skyhold AUTHORIZATION {self.role}, and "
            "?options=-csearch_path%3Dskyhold in DATABASE_URL."
        )


class SchemaQueries:
    """Reads the schema that the address names."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def find(self) -> LedgerSchema:
        """Return the schema in one snapshot, so that a concurrent migration is seen as a whole or not at all.

        Raises:
            PostgresUnavailable: PostgreSQL does not answer.
        """
        async with self._pool.transaction(is_snapshot=True) as connection:
            return await find_schema(connection, self._pool.schema)


async def find_schema(connection: Connection, name: str) -> LedgerSchema:
    """Return the schema of this name; its two statements need one snapshot."""
    tables, rights = zip(*_WANTED, strict=True)
    row = await connection.fetchrow(_PLACE, name, [*RIGHTS], [*FIRST_TABLES], list(tables), list(rights))
    if row is None:
        raise LookupError("one row in, no row out")
    may_read = row["may_use"] and f"SELECT on {_VERSION_TABLE}" not in row["missing"]
    versions = await connection.fetch(_VERSIONS) if row["has_version"] and may_read else []
    return LedgerSchema(
        name=row["quoted"],
        role=row["role"],
        is_there=row["is_there"],
        may_use=row["may_use"],
        may_create=row["may_create"],
        versions=tuple(str(version["version_num"]) for version in versions),
        # An empty alembic_version counts as none.
        tables=frozenset(row["tables"]) - ({_VERSION_TABLE} if row["has_version"] else set()),
        elsewhere=tuple(row["elsewhere"]),
        missing_rights=tuple(row["missing"]),
    )
