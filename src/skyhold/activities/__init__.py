"""One idempotent step each: what a workflow asks for, done once however often it is run.

Stores, seat locks and gateways are named under `if TYPE_CHECKING:` alone, so that a workflow can import an activity
class for typed calls and yet load no driver.
"""
