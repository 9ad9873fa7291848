"""Roles of PostgreSQL that are not a superuser, as a hosted server gives them."""

from __future__ import annotations

from urllib.parse import urlsplit

import asyncpg

ROLE_PASSWORD = "hunter2"


def as_role(url: str, role: str, *, password: str = ROLE_PASSWORD) -> str:
    """Return the address with another role."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{role}:{password}@{parts.netloc.rpartition('@')[2]}").geturl()


async def run_sql(url: str, statements: str) -> None:
    """Run statements as the role in the address."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()


async def table_names(url: str) -> list[str]:
    """Return every table of the database with its schema, as a fingerprint of its content."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT schemaname || '.' || tablename AS name FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
        )
        return [row["name"] for row in rows]
    finally:
        await connection.close()
