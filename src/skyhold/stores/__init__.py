"""Writes: one transaction a public method, idempotent, every change of an order through the ledger's one door."""
