from __future__ import annotations

import pytest

from support.canaries import CODE, code_told_in


@pytest.mark.parametrize(
    "text",
    [
        *(CODE, f"the code is {CODE}.", f'{{"paymentCode": "{CODE}"}}', f"[{CODE}]", f"code={CODE}&", f"{CODE}-{CODE}"),
        *(CODE * 9, f"{CODE}0", f"{CODE}\n", repr(f"the code\n{CODE}\n"), f"a line\n{CODE}\nanother"),
    ],
)
def test_a_code_that_is_told_is_found_with_what_stands_around_it(text: str) -> None:
    assert CODE in code_told_in(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "the code is *****", f"1c9{CODE}1-aaf6-749f-88d1-23a7b430c37e", f"01a221c9-aaf6-749f-88d1-23{CODE}c37e"),
        *(f"after 0.00{CODE} s", f"after 0.{CODE} s", f"2026-11-24T10:00:00.{CODE}1Z", "at 127.0.0.1:31337"),
    ],
)
def test_digits_that_stand_there_by_chance_are_no_code(text: str) -> None:
    assert code_told_in(text) == ""
