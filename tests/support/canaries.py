"""A payment code that tests search for in all logs, output and stored data: a hit is a leak."""

from __future__ import annotations

import re

CODE = "97531"
"""Higher than any port, so that a hit is never a port."""

_TOLD = re.compile(rf"(?:(?<![0-9A-Za-z.])|(?<=\\[nrt]))(?:{CODE})+[0-9]?(?![0-9A-Za-z])")
"""Not as a part of a longer word or number: an id, an instant or a duration may contain the digits by chance."""


def code_told_in(text: str) -> str:
    """Return the place where the text contains the code, with its surroundings; empty if it does not."""
    told = _TOLD.search(text)
    return text[max(told.start() - 80, 0) : told.end() + 20] if told else ""
