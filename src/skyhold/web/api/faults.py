"""Malformed requests: a JSON pointer to each invalid place, and the value that is expected there.

The texts are our own, because those of FastAPI and pydantic repeat the input, secrets included.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from skyhold.domain.errors import InvalidRequest
from skyhold.web.contract.document import contract_of
from skyhold.web.problems import problem_of_refusal


def install_fault_handler(app: FastAPI) -> None:
    """Make the app answer every malformed request with a problem, whose texts come from the app's contract."""
    app.add_exception_handler(RequestValidationError, _handle)


async def _handle(request: Request, error: Any) -> JSONResponse:
    faults = [_fault(request, fault) for fault in error.errors()]
    where = faults[0]["pointer"].removeprefix("/") or "The body"
    refusal = InvalidRequest(f"{where} {faults[0]['detail']}.", errors=faults)
    return problem_of_refusal(request.state.request_id, refusal)


def _fault(request: Request, fault: Mapping[str, Any]) -> dict[str, str]:
    """Return the pointer and the detail of a fault; outside the body also `in`: query, path, header or cookie."""
    place = str(fault["loc"][0])
    described = {"pointer": _pointer(fault), "detail": _detail(request, fault)}
    return described if place == "body" else {**described, "in": place}


def _detail(request: Request, fault: Mapping[str, Any]) -> str:
    """Return the expected value of the place, as the contract declares it."""
    if fault["type"] == "json_invalid":
        return "must be valid JSON"
    expected = contract_of(request.app).expectation(request.scope["route"].path, request.method, fault["loc"])
    return f"is required and must be {expected}" if fault["type"] == "missing" else f"must be {expected}"


def _pointer(fault: Mapping[str, Any]) -> str:
    """Return the JSON pointer to the fault; empty for invalid JSON, whose place is only a character offset."""
    if fault["type"] == "json_invalid":
        return ""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in fault["loc"][1:])
