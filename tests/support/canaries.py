"""A payment code that is looked for in all that was said, printed and stored: where it stands, it was told."""

from __future__ import annotations

import re

CODE = "97531"
"""Higher than any port: where a text tells it, it is the code."""

_TOLD = re.compile(rf"(?:(?<![0-9A-Za-z.])|(?<=\\[nrt]))(?:{CODE})+[0-9]?(?![0-9A-Za-z])")
"""Not as a part of a longer word or number: an id, an instant or a duration may hold the digits by chance."""


def code_told_in(text: str) -> str:
    """Return where the code is told, with what stands around it; nothing where it is not."""
    told = _TOLD.search(text)
    return text[max(told.start() - 80, 0) : told.end() + 20] if told else ""
