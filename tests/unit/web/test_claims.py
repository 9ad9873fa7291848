"""A request for a seat with a claim in flight waits until that is decided, with a timeout."""

from __future__ import annotations

import asyncio

import pytest

from skyhold.domain.seats import keys_of
from skyhold.web.api import claims
from skyhold.web.api.claims import InFlightClaims


class GoneError(Exception):
    """The precheck found the seat unavailable."""


async def _nothing_changed() -> None:
    """Precheck: the seats are still available."""


async def _gone() -> None:
    raise GoneError


async def test_of_two_who_want_a_seat_the_second_looks_again_when_the_first_has_it() -> None:
    under_way, is_decided = InFlightClaims(), asyncio.Event()

    async def first() -> None:
        async with under_way.wait_turn(keys_of("flight", ["1A", "1B"]), _gone):
            await is_decided.wait()

    async def second() -> None:
        async with under_way.wait_turn(keys_of("flight", ["1B", "1C"]), _gone):
            pytest.fail("it must not be sent")

    one, other = asyncio.create_task(first()), asyncio.create_task(second())
    done, _ = await asyncio.wait({one, other}, timeout=0.05)
    assert done == set(), "the second waits"
    is_decided.set()
    with pytest.raises(GoneError):
        await other
    await one


async def test_when_the_first_gets_nothing_those_who_waited_are_sent_one_after_the_other() -> None:
    under_way, at_once, most = InFlightClaims(), 0, 0

    async def claim() -> None:
        nonlocal at_once, most
        async with under_way.wait_turn(keys_of("flight", ["1A"]), _nothing_changed):
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0)
            at_once -= 1

    await asyncio.gather(*(claim() for _ in range(20)))
    assert most == 1


async def test_other_seats_and_other_flights_wait_for_nobody() -> None:
    under_way = InFlightClaims()
    async with (
        under_way.wait_turn(keys_of("flight", ["1A"]), _gone),
        under_way.wait_turn(keys_of("flight", ["1B"]), _gone),
        under_way.wait_turn(keys_of("another", ["1A"]), _gone),
    ):
        pass


async def test_patience_ends_and_the_seats_stay_with_who_claimed_them_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "CLAIM_TIMEOUT_SECONDS", 0.01)
    under_way = InFlightClaims()
    async with under_way.wait_turn(keys_of("flight", ["1A"]), _gone):
        async with under_way.wait_turn(keys_of("flight", ["1A"]), _gone):
            pass
        monkeypatch.setattr(claims, "CLAIM_TIMEOUT_SECONDS", 60)
        waiting = asyncio.create_task(_enter(under_way))
        done, _ = await asyncio.wait({waiting}, timeout=0.005)
        assert done == set(), "the first one's claim is still there"
    with pytest.raises(GoneError):
        await waiting


async def _enter(under_way: InFlightClaims) -> None:
    async with under_way.wait_turn(keys_of("flight", ["1A"]), _gone):
        pytest.fail("it must not be sent")


async def test_whoever_leaves_while_waiting_or_claiming_leaves_nothing_behind() -> None:
    under_way = InFlightClaims()

    async def claim_in_vain() -> None:
        async with under_way.wait_turn(keys_of("flight", ["1A"]), _gone):
            waiting = asyncio.create_task(_enter(under_way))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait({waiting})
            raise GoneError

    with pytest.raises(GoneError):
        await claim_in_vain()
    async with under_way.wait_turn(keys_of("flight", ["1A"]), _gone):
        pass
