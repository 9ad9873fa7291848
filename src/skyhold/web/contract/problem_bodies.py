"""Problems as JSON Schema: the members of RFC 9457, our own, and those that only some codes have."""

from __future__ import annotations

from typing import Any, Self

from pydantic import ConfigDict, Field

from skyhold.domain.alternatives import Alternative
from skyhold.web.schemas import Body


class FaultBody(Body):
    """An invalid place of the request."""

    pointer: str | None = Field(default=None, description="A JSON pointer into the body, or `/name` of a parameter.")
    place: str | None = Field(
        default=None, alias="in", description="`query`, `path`, `header` or `cookie`; absent for the body."
    )
    seat: str | None = None
    detail: str = Field(description="The fault, or the expected value.")


class ConflictBody(Body):
    """An unavailable seat and its status."""

    seat: str
    status: str


class AlternativeBody(Body):
    """Seats that were available a moment ago, and their total price."""

    seats: list[str]
    total_price_cents: int

    @classmethod
    def of(cls, alternative: Alternative) -> Self:
        """Return the body of an alternative."""
        return cls(seats=list(alternative.seats), total_price_cents=alternative.total_cents)


class ProblemBody(Body):
    """A problem of RFC 9457, with the code, the request's id, and the facts that the code needs."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str = Field(description="A sentence for people.")
    instance: str
    error: str = Field(description="The code, for programs.")
    message: str = Field(description="The same as `detail`.")
    request_id: str
    errors: list[FaultBody] = Field(default=[], description="Of INVALID_REQUEST and INVALID_PAYMENT_CODE.")
    seats: list[FaultBody] = Field(default=[], description="Of INVALID_SEATS.")
    conflicts: list[ConflictBody] = Field(default=[], description="Of SEATS_UNAVAILABLE: every seat that is taken.")
    alternatives: list[AlternativeBody] = Field(
        default=[], description="Of SEATS_UNAVAILABLE: sets of seats to request instead."
    )
    total_price_cents: int | None = Field(default=None, description="Of PRICE_CHANGED: the current total.")
    currency: str = Field(default="", description="Of PRICE_CHANGED: its currency.")
    outcome: str = Field(default="", description="Of WORKFLOW_UNAVAILABLE, if a command was sent: `unknown`.")
    order_id: str = Field(default="", description="Of WORKFLOW_UNAVAILABLE: the order of the command.")
    order_token: str = Field(default="", description="Of WORKFLOW_UNAVAILABLE: the token of a new order.")


def problem_schemas() -> dict[str, Any]:
    """Return the schema of a problem and those that it refers to, by their names in the contract."""
    problem = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    parts: dict[str, Any] = problem.pop("$defs")
    return parts | {"Problem": problem}
