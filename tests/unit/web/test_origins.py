"""Pages that may send commands: the browser's origin headers against our own addresses."""

from __future__ import annotations

import pytest
from fastapi import Request
from fastapi.routing import iter_route_contexts
from structlog.testing import capture_logs

from skyhold.settings import OWN_PATHS
from skyhold.web.api.origins import Origins
from skyhold.web.public_address import PublicAddress
from support.web import ScriptedServices, app_over

PUBLIC = PublicAddress("https://fly.example")
ASKED = "skyhold.test"


def _command(
    headers: dict[str, str], *, method: str = "POST", scheme: str = "http", is_forwarded: bool = False
) -> Request:
    encoded = [(name.lower().encode(), value.encode()) for name, value in ({"Host": ASKED} | headers).items()]
    scope = {"type": "http", "method": method, "scheme": scheme, "path": "/api/orders", "query_string": b""}
    return Request({**scope, "headers": encoded, "state": {"is_host_forwarded": is_forwarded}})


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reading_is_never_refused(method: str) -> None:
    evil = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert not Origins().is_foreign_command(_command(evil, method=method))


@pytest.mark.parametrize(
    ("origin", "host", "is_forwarded", "is_foreign"),
    [
        ("https://fly.example", ASKED, False, False),
        ("https://FLY.example:443", ASKED, False, False),
        ("http://fly.example", ASKED, False, True),
        ("https://fly.example:8443", ASKED, False, True),
        ("null", ASKED, False, True),
        ("null", "null", True, True),
        ("", "", False, True),
        # A foreign name that resolves to this address: origin and host agree, and neither is ours.
        ("http://evil.example", "evil.example", False, True),
        ("https://evil.example", "evil.example", False, True),
        ("http://two.example", "two.example", True, False),
        ("https://two.example", "two.example", True, False),
        ("http://evil.example", "two.example", True, True),
        ("http://[::1", "[::1", True, True),
        ("file://", "", True, True),
    ],
)
def test_with_a_public_address_no_other_host_is_ours_unless_a_trusted_proxy_names_it(
    origin: str, host: str, is_forwarded: bool, is_foreign: bool
) -> None:
    command = _command({"Origin": origin, "Host": host}, is_forwarded=is_forwarded)
    assert Origins(PUBLIC).is_foreign_command(command) is is_foreign


@pytest.mark.parametrize("public", [None, PUBLIC])
@pytest.mark.parametrize(
    ("site", "is_foreign"),
    [("same-origin", False), ("none", False), ("same-site", True), ("cross-site", True), ("?", True)],
)
def test_what_browsers_say_of_the_site_decides_where_they_say_it(
    public: PublicAddress | None, site: str, is_foreign: bool
) -> None:
    for origin in ("https://fly.example", f"http://{ASKED}"):
        command = _command({"Sec-Fetch-Site": site, "Origin": origin})
        assert Origins(public).is_foreign_command(command) is is_foreign


def test_a_friends_page_is_known_by_its_whole_origin() -> None:
    origins = Origins(PUBLIC, ("https://friend.example",))
    for origin, is_foreign in [("https://friend.example", False), ("http://friend.example", True), ("null", True)]:
        command = _command({"Origin": origin, "Sec-Fetch-Site": "cross-site"})
        assert origins.is_foreign_command(command) is is_foreign


def test_a_command_without_an_origin_is_not_foreign() -> None:
    assert not Origins(PUBLIC).is_foreign_command(_command({}))


def test_a_page_that_may_be_our_own_is_warned_of_once_and_a_foreign_one_is_not() -> None:
    origins = Origins()
    with capture_logs() as logged:
        origins.is_foreign_command(_command({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}))
        assert logged == []
        for _ in range(3):
            origins.is_foreign_command(_command({"Origin": "http://fly.example"}))
    assert [line["log_level"] for line in logged] == ["warning"]
    assert "PUBLIC_URL" in logged[0]["event"]


def test_no_prefix_may_begin_like_an_address_of_skyholds_own() -> None:
    app = app_over(ScriptedServices())
    paths = {route.path for route in iter_route_contexts(app.routes) if route.path}
    assert {path.split("/")[1] for path in paths} - {""} == OWN_PATHS
