"""The invariants (docs/rules.md#invariants), checked over all stores. It reads and reports, and repairs nothing."""
