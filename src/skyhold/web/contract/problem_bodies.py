"""Problems as JSON Schema: RFC 9457's members, ours, and those that only some codes have."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from skyhold.web.schemas import Body


class FaultBody(Body):
    """What is wrong with one place of the request."""

    pointer: str | None = Field(default=None, description="A JSON pointer into the body, or `/name` of a parameter.")
    place: str | None = Field(
        default=None, alias="in", description="`query`, `path`, `header` or `cookie`, if no body."
    )
    seat: str | None = None
    detail: str = Field(description="What is wrong, or what would be right.")


class ConflictBody(Body):
    """A seat that cannot be had, and why."""

    seat: str
    status: str


class AlternativeBody(Body):
    """Seats that were free a moment ago, and what they cost together."""

    seats: list[str]
    total_price_cents: int


class ProblemBody(Body):
    """RFC 9457, with the code, the request's id, and whatever else the code needs."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str = Field(description="A sentence for a person.")
    instance: str
    error: str = Field(description="The code, to decide by.")
    message: str = Field(description="The same as `detail`.")
    request_id: str
    errors: list[FaultBody] = Field(default=[], description="Of INVALID_REQUEST and INVALID_PAYMENT_CODE.")
    seats: list[FaultBody] = Field(default=[], description="Of INVALID_SEATS.")
    conflicts: list[ConflictBody] = Field(default=[], description="Of SEATS_UNAVAILABLE: every seat that is taken.")
    alternatives: list[AlternativeBody] = Field(
        default=[], description="Of SEATS_UNAVAILABLE: what to ask for instead."
    )
    total_price_cents: int | None = Field(default=None, description="Of PRICE_CHANGED: what the seats cost now.")
    currency: str = Field(default="", description="Of PRICE_CHANGED: its currency.")
    outcome: str = Field(default="", description="Of WORKFLOW_UNAVAILABLE, if a command was sent: `unknown`.")
    order_id: str = Field(default="", description="Of WORKFLOW_UNAVAILABLE: the order whose fate is not known.")
    order_token: str = Field(default="", description="Of WORKFLOW_UNAVAILABLE: opens the order, if it was a new one.")


def problem_schemas() -> dict[str, Any]:
    """Return the schema of a problem and those that it refers to, by their names in the contract."""
    problem = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    parts: dict[str, Any] = problem.pop("$defs")
    return parts | {"Problem": problem}
