"""Payloads that cannot be read, made into a value that the domain refuses like any other that is no JSON object.

A payload is decoded before a workflow's own code runs. What Python cannot decode, a number of 5,000 digits or 20,000
brackets in each other, would fail the workflow task of a start for ever and let a signal vanish without a word.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter, DefaultPayloadConverter


class UnreadablePayload:
    """Stands for a payload that could not be decoded; nothing of it is kept."""


class TolerantPayloadConverter(DefaultPayloadConverter):
    """The usual converter, which for an untyped payload that cannot be decoded gives a value that says so."""

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        """Return the values, typed ones as strictly as ever."""
        if type_hints is not None:
            return super().from_payloads(payloads, type_hints)
        return [self._value_of(payload) for payload in payloads]

    def _value_of(self, payload: Payload) -> Any:
        try:
            return super().from_payloads([payload])[0]
        except Exception:  # noqa: BLE001 - whatever decoding may say: the domain says what is wrong with it
            return UnreadablePayload()


DATA_CONVERTER = dataclasses.replace(DataConverter.default, payload_converter_class=TolerantPayloadConverter)
"""For the client of a worker, and of whoever replays what one did."""
