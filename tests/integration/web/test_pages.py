"""The pages as the server renders them: from a real ledger, for browsers with and without scripts."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import datetime
from zoneinfo import ZoneInfo

import httpx
import pytest
from fastapi import FastAPI

from skyhold.bootstrap.api import open_api
from skyhold.postgresql.pools import Pool
from skyhold.queries.database import Database
from skyhold.settings import Settings
from support.markup import Markup, markup_of
from support.services import FL101, SK900, Service
from support.web import COOKIE, client_of

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
MOST_BYTES = 60_000
WHO_WE_ARE = "SELECT id FROM instance"
NO_FLIGHT = "550e8400-e29b-41d4-a716-446655449999"

COPY_OF_FL101 = """
INSERT INTO flights (id, flight_number, origin, destination, departs_at, departure_zone, arrives_at, arrival_zone,
                     price_cents, currency)
SELECT gen_random_uuid(), 'XX' || n, origin, destination, departs_at + n * interval '1 day', departure_zone,
       arrives_at + n * interval '1 day', arrival_zone, price_cents, currency
FROM flights, generate_series(1, $2) AS n WHERE id = $1
"""


@pytest.fixture
async def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastAPI]:
    """The API alone, without a worker and without Temporal."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    async with open_api(settings) as app:
        yield app


@pytest.fixture
async def visitor(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A new visitor, whose browser accepts every compression."""
    async with client_of(app) as client:
        yield client


@pytest.fixture
async def stranger(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """Another guest of the same service."""
    transport: httpx.AsyncBaseTransport = service.api._transport
    async with httpx.AsyncClient(transport=transport, base_url="http://skyhold.test") as client:
        yield client


async def _page(client: httpx.AsyncClient, path: str, status: int = 200) -> Markup:
    reply = await client.get(path, headers=BROWSER)
    assert reply.status_code == status, reply.text
    return markup_of(reply)


async def _paths_of_all_pages(service: Service) -> dict[str, int]:
    order = await service.hold("1A", "1B")
    return {
        "/": 200,
        "/?origin=NYC": 200,
        f"/flights/{FL101}": 200,
        f"/flights/{SK900}": 200,
        f"/orders/{order['orderId']}": 200,
        "/?date=soon": 400,
        "/orders/another": 404,
        "/nowhere": 404,
    }


async def test_every_page_is_held_to_its_own_origin_and_has_nothing_inline(service: Service) -> None:
    for path, status in (await _paths_of_all_pages(service)).items():
        reply = await service.api.get(path, headers=BROWSER)
        assert reply.status_code == status, path
        assert reply.headers["content-security-policy"] == POLICY
        assert "unsafe" not in reply.headers["content-security-policy"]
        assert reply.headers["cross-origin-opener-policy"] == "same-origin"
        assert "camera=()" in reply.headers["permissions-policy"]
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert reply.headers["x-content-type-options"] == "nosniff"
        page = markup_of(reply)
        assert page.inline == [], path
        assert len(page.addresses) > 6
        assert [to for to in page.addresses if to and not re.match(r"/(?!/)|#", to)] == [], path


async def test_what_a_page_loads_first_is_there_for_good_and_not_much(service: Service) -> None:
    for path in await _paths_of_all_pages(service):
        html = await service.api.get(path, headers=BROWSER)
        wanted, sizes = list(markup_of(html).loaded), {path: int(html.headers["content-length"])}
        assert len(wanted) >= 3, path
        while wanted:
            address = wanted.pop()
            if address in sizes:
                continue
            file = await service.api.get(address)
            assert (file.status_code, "immutable" in file.headers["cache-control"]) == (200, True), address
            assert file.headers.get("content-encoding") == "gzip" or len(file.content) < 512
            sizes[address] = int(file.headers["content-length"])
            folder = address.rpartition("/")[0]
            wanted += [f"{folder}/{name}" for name in re.findall(r'(?:from|import) "\./(.*?)"', file.text)]
        assert sum(sizes.values()) <= MOST_BYTES, (path, sizes)


async def test_a_page_names_beforehand_every_module_that_it_loads(service: Service) -> None:
    for path in await _paths_of_all_pages(service):
        named = set(markup_of(await service.api.get(path, headers=BROWSER)).loaded)
        for address in [address for address in named if address.endswith(".js")]:
            folder, text = address.rpartition("/")[0], (await service.api.get(address)).text
            imported = {
                f"{folder}/{name}" for name in re.findall(r'^(?:import|\}) .*from "\./(.*?)"', text, re.MULTILINE)
            }
            assert imported <= named, (path, address)


async def test_a_first_visit_makes_a_guest_and_later_pages_leave_it(service: Service) -> None:
    first = await service.api.get("/")
    cookie = first.headers["set-cookie"]
    assert re.match(rf"{COOKIE}=[\w-]+\.[\w-]+;", cookie)
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Max-Age=34560000"} <= set(cookie.split("; "))
    order = await service.hold("2A")
    for path in ("/", f"/flights/{FL101}", f"/orders/{order['orderId']}", "/orders/another", "/nowhere"):
        assert "set-cookie" not in (await service.api.get(path, headers=BROWSER)).headers, path
    assert [mine["orderId"] for mine in (await service.get("/api/orders"))["orders"]] == [order["orderId"]]


@pytest.mark.rest(but_first=True)
@pytest.mark.parametrize("path", ["/", f"/flights/{FL101}", f"/flights/{NO_FLIGHT}", "/orders/another", "/?date=soon"])
async def test_every_page_knows_a_cookie_of_ours_and_replaces_any_other(path: str, visitor: httpx.AsyncClient) -> None:
    visitor.cookies.set(COOKIE, "somebody.else")
    assert "set-cookie" in (await visitor.get(path)).headers
    visitor.cookies.clear()
    assert "set-cookie" in (await visitor.get(path)).headers
    assert "set-cookie" not in (await visitor.get(path)).headers


async def test_behind_tls_the_cookie_is_secure_and_bound_to_the_host(app: FastAPI) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://skyhold.test") as client:
        cookie = (await client.get("/")).headers["set-cookie"]
    assert cookie.startswith(f"__Host-{COOKIE}=")
    assert "Secure" in cookie.split("; ")


async def test_the_flights_can_be_read_without_scripts(visitor: httpx.AsyncClient, pool: Pool) -> None:
    flight = await pool.fetchrow("SELECT departs_at, arrives_at FROM flights WHERE id = $1", FL101)
    assert flight
    page = await _page(visitor, "/")
    leaves = flight["departs_at"].astimezone(ZoneInfo("America/New_York"))
    comes = flight["arrives_at"].astimezone(ZoneInfo("America/Los_Angeles"))
    day = f"{leaves:%a} {leaves.day} {leaves:%b}"
    arrival = f"{comes:%Z}" if comes.date() == leaves.date() else f"{comes:%Z}, {comes:%a} {comes.day} {comes:%b}"
    assert (
        f"NYC to LAX New York to Los Angeles {leaves:%H:%M} {leaves:%Z}, {day} 6 h {comes:%H:%M} {arrival} "
        "120 of 120 seats left from $350 FL101"
    ) in page.said
    assert f"/flights/{FL101}" in page.addresses
    numbers = re.findall(r"(?:FL|SK)\d{3}", page.said)
    assert numbers == ["FL201", "FL101", "FL102", "FL202", "SK900"]


@pytest.mark.rest(but_first=True)
@pytest.mark.parametrize(
    ("query", "numbers", "said"),
    [
        ("origin=NYC", ["FL101"], ""),
        ("origin=nyc&destination=LAX&date=", ["FL101"], ""),
        ("destination=SFO", ["FL202"], ""),
        ("origin=SIN&destination=NYC", [], "No flights from Singapore to New York."),
        ("origin=ZZZ", [], "No flights from ZZZ."),
        ("date=2001-01-01", [], "No flights on Mon 1 Jan."),
    ],
)
async def test_the_form_narrows_the_flights_without_scripts(
    query: str, numbers: list[str], said: str, visitor: httpx.AsyncClient
) -> None:
    page = await _page(visitor, f"/?{query}")
    assert re.findall(r"(?:FL|SK)\d{3}", page.said) == numbers
    assert said in page.said
    form = dict(pair.split("=") for pair in query.split("&"))
    chosen = [code for name in ("origin", "destination") if (code := form.get(name, "").upper())]
    assert re.findall(r'<option value="(\w{3})" data-city="[^"]*" selected>', page.text) == chosen
    assert f'name="date" value="{form.get("date", "")}"' in page.text


async def test_a_filter_that_cannot_be_meant_is_told_on_a_page(visitor: httpx.AsyncClient) -> None:
    for query in (
        *("origin=XYZW", "origin=N1C", "destination=%00%00%00", "origin=%3Cb%3E", "cursor=nonsense"),
        *("date=nonsense", "date=2026-02-30", "date=20261124", "date=2026-W01-1", "date=99999-01-01"),
        "cursor=" + "A" * 500,
    ):
        page = await _page(visitor, f"/?{query}", 400)
        assert "We cannot look for that." in page.said, query
        right = {"date": "A date is written like 2026-11-24", "cursor": "Start again with all flights."}
        assert right.get(query.partition("=")[0], "A place is three letters, like NYC.") in page.said, query
        assert query.partition("=")[2] not in page.text
        assert "/" in page.addresses


async def test_a_long_list_goes_on_without_scripts_too(visitor: httpx.AsyncClient, pool: Pool) -> None:
    await pool.execute(COPY_OF_FL101, FL101, 119)
    numbers, path, pages = [], "/?origin=NYC", 0
    while path:
        page = await _page(visitor, path)
        numbers += re.findall(r'data-part="number">((?:XX|FL)\d+)<', page.text)
        path = next((address for address in page.addresses if "cursor=" in address), "")
        pages += 1
    assert (pages, len(numbers), len(set(numbers))) == (3, 120, 120)


async def test_a_flight_that_is_full_or_almost_says_so(visitor: httpx.AsyncClient, pool: Pool) -> None:
    block = "UPDATE seats SET status = 'blocked', version = version + 1 WHERE flight_id = $1 AND row_number BETWEEN $2 AND $3"
    await pool.execute(block, FL101, 3, 20)
    page = await _page(visitor, "/?origin=NYC")
    assert "12 of 120 seats left, filling up" in page.said
    assert '<rect width="10"' in page.text
    await pool.execute(block, FL101, 1, 2)
    page = await _page(visitor, "/?origin=NYC")
    assert "Sold out seats on hold may come back" in page.said
    assert '<li class="leg out"' in page.text


async def test_the_windows_show_the_sky_at_the_place_of_departure(visitor: httpx.AsyncClient, pool: Pool) -> None:
    for hour, sky in ((4, "night"), (5, "dawn"), (8, "day"), (16, "day"), (17, "dusk"), (20, "night")):
        await pool.execute(
            """UPDATE flights SET departs_at = (current_date + 3 + make_time($2, 30, 0)) AT TIME ZONE departure_zone,
                                  arrives_at = (current_date + 5 + make_time($2, 30, 0)) AT TIME ZONE departure_zone
               WHERE id = $1""",
            FL101,
            hour,
        )
        page = await _page(visitor, "/?origin=NYC")
        assert f'<span class="pane" data-sky="{sky}" data-part="pane"' in page.text, hour


async def test_a_flight_that_arrives_on_another_day_says_on_which(visitor: httpx.AsyncClient, pool: Pool) -> None:
    # January, so that summer time does not matter.
    await pool.execute(
        """UPDATE flights SET departs_at = '2099-01-01T15:35Z', arrives_at = '2099-01-02T05:35Z' WHERE id = $1""", SK900
    )
    page = await _page(visitor, "/?origin=SIN")
    assert "23:35 SGT, Thu 1 Jan 14 h 05:35 GMT, Fri 2 Jan" in page.said


async def test_a_flight_can_be_looked_at_without_scripts(service: Service) -> None:
    await service.hold("1A", "20C", "20D", flight_id=SK900)
    page = await _page(service.api, f"/flights/{SK900.upper()}")
    assert "SIN to LHR SK900, Singapore to London" in page.said
    assert "First, rows 1 to 2, from $6,900 Row 1 D, G, K Row 2 A, D, G, K " in page.said
    assert "Economy, rows 20 to 48, from $610 Row 20 A, B, E, F, H, J, K " in page.said
    assert "need JavaScript" in page.said


async def test_a_flight_that_has_left_can_be_looked_at_and_says_so(visitor: httpx.AsyncClient, pool: Pool) -> None:
    await pool.execute("UPDATE flights SET departs_at = now() - interval '1 minute' WHERE id = $1", FL101)
    page = await _page(visitor, f"/flights/{FL101}")
    assert "This flight has departed." in page.said
    assert "FL101" not in (await _page(visitor, "/")).said


async def test_a_flight_that_there_is_not_is_told_on_a_page(visitor: httpx.AsyncClient) -> None:
    for name in (NO_FLIGHT, "FL101", "1", "%00", "%3Cscript%3E", "550e8400", f"{FL101}x", f"{FL101}%20"):
        page = await _page(visitor, f"/flights/{name}", 404)
        assert "There is no such flight." in page.said, name
        assert f">{name}" not in page.text
        assert "script>" not in page.text


async def test_an_order_is_shown_to_its_guest_and_to_nobody_else(service: Service, stranger: httpx.AsyncClient) -> None:
    order = await service.hold("3A", "3B")
    path = f"/orders/{order['orderId']}"
    reply = await service.api.get(path)
    page = markup_of(reply)
    assert (reply.status_code, reply.headers["cache-control"]) == (200, "no-store")
    assert "The seats are held for you" in page.said
    assert "Seats 3A, 3B Total $700" in page.said
    assert order["orderToken"] not in page.text
    theirs, never = await stranger.get(path), await stranger.get(f"/orders/{'0' * 36}")
    assert (theirs.status_code, theirs.text) == (never.status_code, never.text)
    assert theirs.status_code == 404
    assert "There is no such order." in markup_of(theirs).said
    assert theirs.headers["cache-control"] == "no-store"


async def test_the_token_of_an_order_opens_its_page_too(service: Service, stranger: httpx.AsyncClient) -> None:
    order = await service.hold("4A")
    path, token = f"/orders/{order['orderId']}", {"authorization": f"Bearer {order['orderToken']}"}
    assert (await stranger.get(path, headers=token)).status_code == 200
    assert (await stranger.get(path, headers={"authorization": "Bearer another"})).status_code == 404


async def test_an_order_says_how_it_ended(service: Service) -> None:
    confirmed, cancelled = await service.hold("5A"), await service.hold("5B")
    await service.pay(confirmed["orderId"])
    ended = await service.outcome(confirmed["orderId"])
    await service.cancel(cancelled["orderId"])
    page = await _page(service.api, f"/orders/{confirmed['orderId']}")
    assert "Paid and confirmed." in page.said
    assert ended["reference"] in page.said
    page = await _page(service.api, f"/orders/{cancelled['orderId']}")
    assert "The booking was cancelled. Nothing was charged." in page.said


async def test_an_order_that_there_is_not_is_told_on_a_page(visitor: httpx.AsyncClient) -> None:
    for name in ("another", "%00", "%3Cscript%3Ealert(1)", "a" * 65, "a%20b", "%F0%9F%9B%AB"):
        page = await _page(visitor, f"/orders/{name}", 404)
        assert "There is no such order." in page.said, name
        assert "alert(" not in page.text


async def test_nothing_of_an_address_becomes_markup(visitor: httpx.AsyncClient) -> None:
    for path in ("/?origin=<b>&x=<b>", "/<b>", "/flights/<b>", "/orders/<b>", "/static/<b>/<b>", '/?date="><b>'):
        reply = await visitor.get(path, headers=BROWSER)
        assert reply.status_code in {400, 404}, path
        assert "<b>" not in reply.text


async def test_nothing_of_the_ledger_becomes_markup(visitor: httpx.AsyncClient, pool: Pool) -> None:
    await pool.execute("UPDATE cabins SET name = '<b onclick=x>' WHERE flight_id = $1", FL101)
    page = await _page(visitor, f"/flights/{FL101}")
    assert "<b onclick=x>, rows 1 to 20" in page.said.lower()
    assert page.inline == []


async def test_only_browsers_are_shown_pages_of_what_is_not_there(visitor: httpx.AsyncClient) -> None:
    assert "There is nothing at this address." in (await _page(visitor, "/nowhere", 404)).said
    for path, accept in (("/nowhere", "*/*"), ("/nowhere", "application/json"), ("/api/nowhere", BROWSER["accept"])):
        reply = await visitor.get(path, headers={"accept": accept})
        assert reply.headers["content-type"] == "application/problem+json", (path, accept)
        assert reply.json()["error"] == "NOT_FOUND"
    assert (await visitor.get(f"/api/flights/{NO_FLIGHT}", headers=BROWSER)).json()["error"] == "FLIGHT_NOT_FOUND"


async def test_a_page_may_be_kept_but_not_shown_without_asking_and_an_order_not_even_kept(service: Service) -> None:
    order = await service.hold("6A")
    for path in ("/", f"/flights/{FL101}"):
        reply = await service.api.get(path)
        assert reply.headers["cache-control"] == "private, no-cache"
        assert reply.headers["vary"] == "Accept-Encoding"
    assert (await service.api.get(f"/orders/{order['orderId']}")).headers["cache-control"] == "no-store"


@pytest.mark.rest(but_first=True)
@pytest.mark.parametrize("path", ["/", f"/flights/{FL101}", "/orders/another"])
async def test_head_tells_what_get_would_and_no_other_method_is_known(path: str, visitor: httpx.AsyncClient) -> None:
    await visitor.get("/")
    got, head = await visitor.get(path), await visitor.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        reply = await visitor.request(method, path)
        assert (reply.status_code, reply.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


async def test_pages_are_sent_compressed_to_who_takes_them_so(visitor: httpx.AsyncClient) -> None:
    compressed = await visitor.get(f"/flights/{SK900}", headers={"accept-encoding": "gzip, br"})
    plain = await visitor.get(f"/flights/{SK900}", headers={"accept-encoding": "identity"})
    assert compressed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert compressed.text == plain.text
    assert int(compressed.headers["content-length"]) * 3 < int(plain.headers["content-length"])


@pytest.mark.parametrize(("path", "most"), [("/", 2), (f"/flights/{FL101}", 1), ("/orders/another", 1)])
async def test_a_page_costs_few_statements(
    path: str, most: int, visitor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, rows = [], Database.rows

    async def counted(self: Database, statement: str, *values: object) -> object:
        asked.append(statement)
        return await rows(self, statement, *values)

    monkeypatch.setattr(Database, "rows", counted)
    await visitor.get(path)
    assert asked.count(WHO_WE_ARE) == 1
    assert len(asked) == most + 1
    asked.clear()
    await visitor.get(path)
    assert len(asked) == 1, "where flights go is remembered, and who we are"


async def test_pages_are_no_part_of_the_contract(visitor: httpx.AsyncClient) -> None:
    contract = (await visitor.get("/openapi.json")).json()
    assert [path for path in contract["paths"] if not path.startswith(("/api/", "/livez", "/readyz", "/health"))] == []


async def test_times_on_a_page_are_for_programs_too(visitor: httpx.AsyncClient, pool: Pool) -> None:
    page = await _page(visitor, "/?origin=NYC")
    departs_at = await pool.fetchval("SELECT departs_at FROM flights WHERE id = $1", FL101)
    stamps = [datetime.fromisoformat(stamp) for stamp in re.findall(r'datetime="(.*?)"', page.text)]
    assert stamps[0] == departs_at
