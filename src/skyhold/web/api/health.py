"""Health routes: liveness of the process, and readiness by checks of the servers that it needs."""

from __future__ import annotations

from fastapi import APIRouter, Response

from skyhold.health.verdict import readiness_of
from skyhold.web.api.services import UsedServices
from skyhold.web.schemas import HealthBody, LivenessBody

router = APIRouter(tags=["health"])


@router.get("/livez", operation_id="getLiveness")
async def get_liveness(response: Response) -> LivenessBody:
    """Report that the process runs."""
    response.headers["Cache-Control"] = "no-store"
    return LivenessBody()


@router.get("/readyz", operation_id="getReadiness", responses={503: {"model": HealthBody}})
@router.get("/health", operation_id="getHealth", responses={503: {"model": HealthBody}})
async def get_readiness(services: UsedServices, response: Response) -> HealthBody:
    """Report the results of the health checks, and whether Skyhold is ready, degraded or unavailable."""
    checks = await services.checks.ask()
    status = readiness_of(checks)
    if status == "unavailable":
        response.status_code = 503
    response.headers["Cache-Control"] = "no-store"
    return HealthBody(status=status, checks=checks)
