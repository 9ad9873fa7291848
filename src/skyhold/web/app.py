"""The FastAPI app: routes, problems, the contract and the edge put together."""

from __future__ import annotations

from fastapi import FastAPI

import skyhold
from skyhold.web.api import commands, events, flights, health, orders, suggestions
from skyhold.web.api.faults import install_fault_handler
from skyhold.web.api.services import Services
from skyhold.web.contract.document import install_contract
from skyhold.web.contract.documentation import install_documentation
from skyhold.web.edge.middleware import Edge, install_edge
from skyhold.web.pages import assets
from skyhold.web.pages.pages import install_pages
from skyhold.web.problems import install_problem_handlers


def create_app(services: Services, edge: Edge | None = None) -> FastAPI:
    """Return the app with these services; it starts even while all of them are unavailable."""
    app = FastAPI(
        title="Skyhold",
        version=skyhold.__version__,
        summary="Books seats on flights: held under a durable timer, paid with a code, never sold twice.",
        redirect_slashes=False,
        openapi_url=None,
    )
    edge = edge or Edge()
    app.state.services = services
    app.state.prefix = edge.public.prefix if edge.public else ""
    install_problem_handlers(app)
    for room in (flights, suggestions, orders, commands, events, health, assets):
        app.router.routes += room.router.routes  # Added directly: `include_router` builds each route a second time.
    install_contract(app)
    install_fault_handler(app)
    install_documentation(app, edge.public)
    install_pages(app, app.state.prefix)
    install_edge(app, edge)
    return app
