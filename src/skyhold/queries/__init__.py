"""Reads: one SELECT a method, frozen views out. No writes, no rules, and nothing of the stores."""
