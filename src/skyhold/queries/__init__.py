"""Reads: one SELECT per method, which returns frozen views. No writes, no rules, no use of the stores."""
