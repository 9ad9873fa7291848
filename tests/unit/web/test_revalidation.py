"""Values of `If-None-Match` that mean that a client has the reply already (RFC 9110, section 13.1.2)."""

from __future__ import annotations

import pytest
from fastapi import Request

from skyhold.web.compression import Content
from skyhold.web.revalidation import ResponseCache, is_known, tag_of, whole_header

TAG = tag_of("0123abcd")
STRONG = TAG.removeprefix("W/")


@pytest.mark.parametrize(
    "header",
    [
        TAG,
        STRONG,
        "*",
        " * ",
        f'"other", {TAG}',
        f'W/"a,b" ,{STRONG},"c"',
    ],
)
def test_a_tag_is_known_by_weak_comparison_in_any_list(header: str) -> None:
    assert is_known(TAG, header)


@pytest.mark.parametrize(
    ("lines", "whole"), [([], None), (["a"], "a"), (['"other"', TAG], f'"other", {TAG}'), (["", "*"], ", *")]
)
def test_a_header_that_comes_in_several_lines_is_one_list(lines: list[str], whole: str | None) -> None:
    request = Request({"type": "http", "headers": [(b"if-none-match", line.encode()) for line in lines]})
    assert whole_header(request, "If-None-Match") == whole


@pytest.mark.parametrize(
    "header",
    [None, "", '"other"', "W/other", f'", {TAG.strip(chr(34))}', STRONG.strip('"'), "*, *", f'"{STRONG}"x'],
)
def test_what_is_another_tag_or_none_asks_for_the_whole_reply(header: str | None) -> None:
    assert not is_known(TAG, header)


def test_tags_are_weak_because_what_they_tell_of_may_be_compressed_on_its_way() -> None:
    assert TAG.startswith('W/"')
    assert tag_of("1") != tag_of("2")


def test_the_last_reply_of_a_subject_is_kept_and_of_subjects_only_so_many() -> None:
    kept, second, other = ResponseCache(limit=2), Content(b"second"), Content(b"other")
    kept.put("a", "1", Content(b"first"))
    kept.put("a", "2", second)
    assert (kept.get("a", "1"), kept.get("a", "2")) == (None, second)
    kept.put("b", "1", other)
    assert kept.get("a", "2")
    kept.put("c", "1", other)
    assert [bool(kept.get(*what)) for what in (("a", "2"), ("b", "1"), ("c", "1"))] == [True, False, True]
