"""Temporal activities: idempotent steps, applied once however often Temporal runs them.

Stores, seat locks and gateways are imported under `if TYPE_CHECKING:` only, so that a workflow can import an activity
class for typed calls without loading a driver.
"""
