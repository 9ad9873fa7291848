"""Conversion of undecodable payloads into a value that the domain refuses like any other that is not a JSON object.

A payload is decoded before a workflow's own code runs. One that Python cannot decode (a number of 5,000 digits, 20,000
nested brackets) would fail the first workflow task again and again, and a signal with it would be lost silently.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter, DefaultPayloadConverter


class UnreadablePayload:
    """Placeholder for a payload that could not be decoded; it keeps no data of it."""


class TolerantPayloadConverter(DefaultPayloadConverter):
    """The default converter, but an untyped payload that cannot be decoded becomes an `UnreadablePayload`."""

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        """Return the values; typed payloads are decoded as strictly as by default."""
        if type_hints is not None:
            return super().from_payloads(payloads, type_hints)
        return [self._value_of(payload) for payload in payloads]

    def _value_of(self, payload: Payload) -> Any:
        try:
            return super().from_payloads([payload])[0]
        except Exception:  # noqa: BLE001 - whatever decoding raises, the domain reports the error
            return UnreadablePayload()


DATA_CONVERTER = dataclasses.replace(DataConverter.default, payload_converter_class=TolerantPayloadConverter)
"""For the clients of workers, and for replaying their histories."""
