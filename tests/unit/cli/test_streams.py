"""Reading a stream of events: from the last event on, with pauses, until the API refuses."""

from __future__ import annotations

import itertools
import json

import httpx
import pytest

from skyhold.cli.customers import api_client, watch
from skyhold.cli.customers.api_client import ApiClient, ApiUnreachable, Event
from skyhold.cli.customers.problems import Refused
from skyhold.cli.failures import Failure

Answer = str | httpx.Response | Exception


def _event(name: str, event_id: str, *, retry: int | None = None) -> str:
    told = f"retry: {retry}\n" if retry is not None else ""
    return f"{told}event: {name}\nid: {event_id}\ndata: {json.dumps({'seats': []})}\n\n"


def _client(*answers: Answer, asked: list[httpx.Request]) -> ApiClient:
    """Return a client of an API with these answers, one after the other, the last repeated."""
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        said = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(said, Exception):
            raise said
        if isinstance(said, httpx.Response):
            return said
        return httpx.Response(200, text=said, headers={"Content-Type": "text/event-stream"})

    return ApiClient("http://skyhold.test", transport=httpx.MockTransport(answer))


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the pauses in seconds, without waiting."""
    pauses: list[float] = []
    monkeypatch.setattr(watch, "sleep", pauses.append)
    return pauses


def test_a_lost_stream_is_asked_for_again_from_the_last_event_on(pauses: list[float]) -> None:
    asked: list[httpx.Request] = []
    with _client(_event("snapshot", "a-1") + _event("seats", "a-2"), _event("seats", "a-3"), asked=asked) as client:
        heard = list(itertools.islice(watch._listen(client, "/events"), 5))
    assert [event and (event.name, event.id) for event in heard] == [
        ("snapshot", "a-1"),
        ("seats", "a-2"),
        None,
        ("seats", "a-3"),
        None,
    ]
    assert [request.headers.get("Last-Event-ID") for request in asked] == [None, "a-2"]
    assert pauses == [1.0]


def test_pauses_grow_to_a_bound_and_the_api_may_ask_for_longer_ones(pauses: list[float]) -> None:
    away = httpx.ConnectError("away")
    with _client(_event("snapshot", "a-1", retry=2500), away, asked=[]) as client:
        heard = list(itertools.islice(watch._listen(client, "/events"), 6))
    assert heard[1:] == [None] * 5
    assert pauses == [2.5, 5.0, 10.0, 10.0]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_refusal_that_may_pass_is_waited_out(status: int, pauses: list[float]) -> None:
    refusal = httpx.Response(status, json={"error": "BUSY"})
    with _client(_event("snapshot", "a-1"), refusal, _event("seats", "a-2"), asked=[]) as client:
        heard = list(itertools.islice(watch._listen(client, "/events"), 4))
    assert [event and event.id for event in heard] == ["a-1", None, None, "a-2"]
    assert len(pauses) == 2


def test_a_refusal_that_will_not_pass_ends_it(pauses: list[float]) -> None:
    gone = httpx.Response(404, json={"error": "FLIGHT_NOT_FOUND"})
    with (
        _client(_event("snapshot", "a-1"), gone, asked=[]) as client,
        pytest.raises(Refused, match="FLIGHT_NOT_FOUND"),
    ):
        list(watch._listen(client, "/events"))
    assert len(pauses) == 1


@pytest.mark.parametrize(
    ("first", "error"),
    [(httpx.ConnectError("nobody"), ApiUnreachable), (httpx.Response(503, json={"error": "BUSY"}), Refused)],
)
def test_an_api_that_has_never_answered_is_not_waited_for(
    first: Answer, error: type[Exception], pauses: list[float]
) -> None:
    with _client(first, asked=[]) as client, pytest.raises(error):
        next(watch._listen(client, "/events"))
    assert pauses == []


@pytest.mark.parametrize("said", [httpx.Response(200, text="<html>"), "event: seats\ndata: {\n\n"])
def test_a_reply_that_is_no_event_stream_is_reported(said: Answer) -> None:
    with _client(said, asked=[]) as client, pytest.raises(Failure, match="does not send Skyhold's events"):
        list(client.listen("/events"))


BEAT = 'event: beat\ndata: {"serverTime": "2026-03-01T12:00:00.000Z"}\n\n'


@pytest.mark.usefixtures("pauses")
def test_a_beat_is_no_change_and_leaves_the_last_event_what_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[httpx.Request] = []
    with _client(_event("seats", "a-1") + BEAT, BEAT + _event("seats", "a-2"), asked=asked) as client:
        watch._print(itertools.islice(watch._listen(client, "/events"), 6))
    assert [request.headers.get("Last-Event-ID") for request in asked] == [None, "a-1"]
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["event"], line["id"]) for line in printed] == [("seats", "a-1"), ("seats", "a-2")]


@pytest.mark.parametrize("first", ["", BEAT], ids=["an API without beats", "an API with beats"])
def test_a_stream_that_a_proxy_keeps_open_is_dead_once_its_beats_are_missed(
    first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = itertools.count(0, 20)
    monkeypatch.setattr(api_client, "monotonic", lambda: float(next(now)))
    with _client(_event("seats", "a-1") + first + ": of a proxy\n\n" * 9, asked=[]) as client:
        heard = client.listen("/events")
        assert next(heard).name == "seats"
        if not first:
            assert list(heard) == []
            return
        assert next(heard).name == "beat"
        with pytest.raises(ApiUnreachable):
            next(heard)


def test_a_stream_may_keep_alive_without_an_event() -> None:
    with _client(": keep-alive\n\n" + _event("seats", "a-1") + "retry: 1\n\n", asked=[]) as client:
        assert list(client.listen("/events")) == [Event("seats", "a-1", {"seats": []}, None)]
