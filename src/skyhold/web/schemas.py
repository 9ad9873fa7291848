"""The bodies of requests and replies: camelCase JSON, RFC 3339 instants in UTC, money in cents.

The domain parses the input of customers inside these models, so HTTP and Temporal refuse it with the same errors.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

from skyhold.domain.actions import Action, available_actions
from skyhold.domain.failures import FAILURE_CODES
from skyhold.domain.orders import OrderStatus
from skyhold.domain.payments import PaymentCode, parse_payment_code
from skyhold.domain.requests import FLIGHT_ID_LENGTH_LIMIT, TOTAL_LIMIT_CENTS, parse_expected_total
from skyhold.domain.seats import SEATS_IN_A_REQUEST_LIMIT, SeatStatus, parse_seats
from skyhold.messages import OrderReply
from skyhold.queries.flights import FlightView
from skyhold.queries.orders import OrderEventView, OrderView
from skyhold.queries.seat_map import FlightWithSeats


def _to_rfc3339(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_none(value: Any) -> bool:
    return value is None


Instant = Annotated[
    datetime,
    PlainSerializer(_to_rfc3339, when_used="json-unless-none"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-03-01T12:00:00.000Z"]}),
]

SEAT_PATTERN = "^[1-9][0-9]?[A-HJK]$"

_SEAT_ID = {
    "type": "string",
    "pattern": SEAT_PATTERN,
    "description": "a row from 1 to 99 and a letter (A-H, J, K)",
    "examples": ["12A"],
}

WantedSeats = Annotated[
    tuple[str, ...],
    BeforeValidator(parse_seats),
    WithJsonSchema(
        {
            "type": "array",
            "items": _SEAT_ID,
            "minItems": 1,
            "maxItems": SEATS_IN_A_REQUEST_LIMIT,
            "uniqueItems": True,
            "examples": [["12A", "12B"]],
        }
    ),
]

ExpectedTotal = Annotated[
    int | None,
    BeforeValidator(parse_expected_total),
    WithJsonSchema(
        {
            "type": ["integer", "null"],
            "minimum": 0,
            "maximum": TOTAL_LIMIT_CENTS,
            "description": "The total that was shown for these seats; if it has changed, the reply is PRICE_CHANGED.",
        }
    ),
]

KnownFailureCode = Annotated[str, WithJsonSchema({"type": "string", "enum": list(FAILURE_CODES)})]

TypedCode = Annotated[
    PaymentCode,
    BeforeValidator(parse_payment_code),
    WithJsonSchema(
        {
            "type": "string",
            "format": "password",
            "pattern": "^[0-9]{5}$",
            "description": "5 digits",
            "writeOnly": True,
        }
    ),
]


class Body(BaseModel):
    """A JSON object with camelCase members; its errors never contain the input."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        from_attributes=True,
        frozen=True,
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
    )


class ChangeSeatsRequest(Body):
    """A request to replace the order's seats with exactly these; the hold time restarts."""

    seats: WantedSeats
    expected_total_cents: ExpectedTotal = None


class CreateOrderRequest(Body):
    """A request to hold seats on a flight."""

    flight_id: str = Field(max_length=FLIGHT_ID_LENGTH_LIMIT, examples=["550e8400-e29b-41d4-a716-446655440001"])
    seats: WantedSeats
    expected_total_cents: ExpectedTotal = None


class PayRequest(Body):
    """The code that the customer typed; a missing code is refused like a malformed one."""

    model_config = ConfigDict(json_schema_extra={"required": ["paymentCode"]})

    payment_code: TypedCode = Field(default=None, validate_default=True, repr=False)


class FlightBody(Body):
    """One departure; `priceCents` is that of its cheapest seat."""

    id: str
    flight_number: str
    origin: str
    destination: str
    departure_time: Instant
    departure_zone: str
    arrival_time: Instant
    arrival_zone: str
    total_seats: int
    available_seats: int
    price_cents: int
    currency: str

    @classmethod
    def of(cls, flight: FlightView) -> Self:
        """Return the body of the flight."""
        return cls(**_flight_members(flight))


class FlightsBody(Body):
    """Flights by departure time."""

    flights: list[FlightBody]
    next_cursor: str | None = Field(description="The cursor of the next page; null on the last page.")


class CabinBody(Body):
    """A cabin; a gap in the layout is an aisle."""

    name: str
    first_row: int
    last_row: int
    layout: str = Field(examples=["ABC DEF"])
    exit_rows: tuple[int, ...]


class SeatBody(Body):
    """One seat; of two versions the higher one is current."""

    id: str
    row: int
    column: str
    status: SeatStatus
    cabin: str
    features: tuple[str, ...]
    price_cents: int
    version: int


class SeatMapBody(Body):
    """Every seat of a flight; `rows` counts rows, `seatsPerRow` the seats of the widest."""

    rows: int
    seats_per_row: int
    cabins: tuple[CabinBody, ...]
    seats: tuple[SeatBody, ...]


class FlightWithSeatsBody(FlightBody):
    """One departure with its seat map."""

    seat_map: SeatMapBody

    @classmethod
    def of_map(cls, found: FlightWithSeats) -> Self:
        """Return the body of the flight and its seats."""
        return cls(**_flight_members(found.flight), seat_map=SeatMapBody.model_validate(found.seat_map))


class HeldOrderBody(Body):
    """An order whose seats have just been held."""

    order_id: str
    workflow_id: str
    flight_id: str
    status: OrderStatus
    seats: list[str]
    total_price_cents: int
    currency: str
    expires_at: Instant
    max_expires_at: Instant
    server_time: Instant
    order_token: str = Field(description="Gives its holder access to the order, as Authorization: Bearer.")

    @classmethod
    def of(cls, reply: OrderReply, *, workflow_id: str, order_token: str, server_time: datetime) -> Self:
        """Return the body that shows an order whose seats have just been held."""
        return cls(
            **_reply_members(reply, cls), workflow_id=workflow_id, order_token=order_token, server_time=server_time
        )


class ChangedOrderBody(Body):
    """An order with its new seats."""

    order_id: str
    status: OrderStatus
    seats: list[str]
    total_price_cents: int
    expires_at: Instant
    server_time: Instant

    @classmethod
    def of(cls, reply: OrderReply, *, server_time: datetime) -> Self:
        """Return the body that shows a changed order."""
        return cls(**_reply_members(reply, cls), server_time=server_time)


class AcceptedPaymentBody(Body):
    """A payment that was accepted; the order's status shows its outcome."""

    order_id: str
    status: Literal[OrderStatus.PAYMENT_PENDING] = OrderStatus.PAYMENT_PENDING


class BeatBody(Body):
    """The data of a `beat`, which every event stream sends every 15 seconds."""

    server_time: Instant


class OrderStatusBody(Body):
    """The status of an order, by PostgreSQL's clock."""

    order_id: str
    flight_id: str | None
    status: OrderStatus
    seats: list[str]
    expires_at: Instant | None
    timer_remaining: int = Field(description="Whole seconds, rounded up; 0 while no clock runs.")
    payment_attempts: int = Field(description="Number of the running attempt, or else of the verdicts.")
    max_payment_attempts: int
    last_error: str | None = Field(
        default=None,
        exclude_if=_is_none,
        description="`CODE: sentence`: why the last command was refused, or why the order ended without a booking.",
    )
    failure_code: KnownFailureCode | None = Field(default=None, exclude_if=_is_none)
    failure_reason: str | None = Field(
        default=None, exclude_if=_is_none, description="The sentence of `failureCode`, for a person."
    )
    reference: str | None = Field(default=None, exclude_if=_is_none)
    server_time: Instant

    @classmethod
    def of(cls, order: OrderView) -> Self:
        """Return the status of the order."""
        return cls(**_status_members(order))


class PricedSeatBody(Body):
    """A seat of an order, with its price at the time of the claim."""

    id: str
    price_cents: int


class OrderBody(OrderStatusBody):
    """The whole order."""

    workflow_id: str
    version: int = Field(description="Raised by every change of the seats.")
    seat_prices: tuple[PricedSeatBody, ...]
    total_price_cents: int
    currency: str | None
    max_expires_at: Instant | None
    confirmed_at: Instant | None = Field(default=None, exclude_if=_is_none)
    created_at: Instant
    updated_at: Instant
    available_actions: tuple[Action, ...]

    @classmethod
    def of(cls, order: OrderView) -> Self:
        """Return the body of the whole order."""
        actions = available_actions(
            order.status, has_time_left=order.timer_remaining > 0, has_changes_left=order.changes_left > 0
        )
        return cls(
            **_status_members(order),
            workflow_id=order.workflow_id,
            version=order.version,
            seat_prices=tuple(PricedSeatBody.model_validate(seat) for seat in order.seats),
            total_price_cents=order.total_price_cents,
            currency=order.currency,
            max_expires_at=order.max_expires_at,
            confirmed_at=order.confirmed_at,
            created_at=order.created_at,
            updated_at=order.updated_at,
            available_actions=actions,
        )


class OrdersBody(Body):
    """A guest's orders, newest first."""

    orders: list[OrderBody]
    next_cursor: str | None = Field(default=None, description="The cursor of the next page; null on the last page.")


class OrderEventBody(Body):
    """The state of the order from `at` on; a `finding` is a fault that was found and is being repaired."""

    seq: int
    status: OrderStatus
    version: int
    seats: tuple[str, ...]
    expires_at: Instant | None
    failure_code: KnownFailureCode | None = Field(default=None, exclude_if=_is_none)
    finding: str | None = Field(default=None, exclude_if=_is_none)
    at: Instant


class HistoryBody(Body):
    """The order's log, oldest first."""

    order_id: str
    events: list[OrderEventBody]

    @classmethod
    def of(cls, order_id: str, events: list[OrderEventView]) -> Self:
        """Return the body of the order's log."""
        return cls(order_id=order_id, events=[OrderEventBody.model_validate(event) for event in events])


class HealthBody(Body):
    """The health checks: each is `ok`, `unavailable` or `degraded` with the reason, or the deviation of the clock."""

    status: Literal["ready", "degraded", "unavailable"]
    checks: dict[str, str]


class LivenessBody(Body):
    """The process runs."""

    status: Literal["alive"] = "alive"


def _flight_members(flight: FlightView) -> dict[str, Any]:
    members = {name: getattr(flight, name) for name in FlightBody.model_fields if hasattr(flight, name)}
    return members | {"departure_time": flight.departs_at, "arrival_time": flight.arrives_at}


def _status_members(order: OrderView) -> dict[str, Any]:
    return {
        "order_id": order.id,
        "flight_id": order.flight_id,
        "status": order.status,
        "seats": [seat.id for seat in order.seats],
        "expires_at": order.expires_at,
        "timer_remaining": order.timer_remaining,
        "payment_attempts": order.payment_attempts,
        "max_payment_attempts": order.max_payment_attempts,
        "last_error": order.last_error,
        "failure_code": order.failure.code if order.failure else None,
        "failure_reason": order.failure.sentence if order.failure else None,
        "reference": order.reference,
        "server_time": order.now,
    }


def _reply_members(reply: OrderReply, body: type[Body]) -> dict[str, Any]:
    return {name: getattr(reply, name) for name in body.model_fields if hasattr(reply, name)}
