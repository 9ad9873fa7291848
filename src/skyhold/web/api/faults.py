"""Malformed requests: which places of them are wrong, by JSON pointers, and what each has to be.

In words of our own: those of FastAPI and pydantic repeat what was sent, secrets among it.
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
    """Let the app answer every malformed request with a problem; it needs the contract, which says what is right."""
    app.add_exception_handler(RequestValidationError, _handle)


async def _handle(request: Request, error: Any) -> JSONResponse:
    faults = [_fault(request, fault) for fault in error.errors()]
    where = faults[0]["pointer"].removeprefix("/") or "The body"
    refusal = InvalidRequest(f"{where} {faults[0]['detail']}.", errors=faults)
    return problem_of_refusal(request.state.request_id, refusal)


def _fault(request: Request, fault: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong and where: in the body, or `in` the query, the path, a header or a cookie."""
    place = str(fault["loc"][0])
    described = {"pointer": _pointer(fault), "detail": _detail(request, fault)}
    return described if place == "body" else {**described, "in": place}


def _detail(request: Request, fault: Mapping[str, Any]) -> str:
    """Return what the place has to be, as the contract declares it."""
    if fault["type"] == "json_invalid":
        return "must be valid JSON"
    expected = contract_of(request.app).expectation(request.scope["route"].path, request.method, fault["loc"])
    return f"is required and must be {expected}" if fault["type"] == "missing" else f"must be {expected}"


def _pointer(fault: Mapping[str, Any]) -> str:
    """Return where the fault is; of JSON that cannot be read the place is a number of characters, and left out."""
    if fault["type"] == "json_invalid":
        return ""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in fault["loc"][1:])
