"""Writes: one idempotent transaction per public method; every change of an order goes through the ledger's fence."""
