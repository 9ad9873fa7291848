"""The conditions on statuses in SQL are those of the domain, and of the index that serves them."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from skyhold.domain.orders import HOLDING, TERMINAL, OrderStatus
from skyhold.postgresql.order_statuses import HAS_ENDED_WITHOUT_SEATS, HOLDS_SEATS, IS_OPEN


@pytest.mark.parametrize(
    ("condition", "named"),
    [
        (IS_OPEN, TERMINAL),
        (HOLDS_SEATS, HOLDING),
        (HAS_ENDED_WITHOUT_SEATS, TERMINAL - {OrderStatus.CONFIRMED}),
    ],
)
def test_a_condition_names_the_statuses_of_the_domain(condition: str, named: frozenset[OrderStatus]) -> None:
    assert set(re.findall(r"'(\w+)'", condition)) == named


def test_the_index_of_open_orders_has_the_condition_in_these_words() -> None:
    first = files("skyhold.stores.migrations.versions").joinpath("0001_ledger.py").read_text()
    assert f"CREATE INDEX orders_open ON orders (status, expires_at) WHERE {IS_OPEN}" in first
