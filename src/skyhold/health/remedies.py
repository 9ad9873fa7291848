"""Remedies for failed checks, where the probe itself names none."""

from __future__ import annotations

from skyhold.health.verdict import CLOCK

REMEDIES = {
    "postgresql": "Start PostgreSQL 15 or newer and set DATABASE_URL, or run `skyhold up`.",
    "redis": "Start Redis or Valkey and set REDIS_URL; bookings continue without it.",
    "temporal": "Start Temporal and set TEMPORAL_ADDRESS, or run `skyhold up`.",
    "worker": "Start one with `skyhold worker`.",
    "schema": "Run `skyhold migrate`.",
    CLOCK: "Synchronise this machine, or PostgreSQL's, with NTP; bookings go by PostgreSQL's clock either way.",
}
"""By the name of the check."""
