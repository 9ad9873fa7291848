"""The encoding of a reply, by the client's request."""

from __future__ import annotations

import gzip

import pytest

from skyhold.web.compression import SMALLEST, Content, takes_gzip

LONG = b"seats " * SMALLEST


@pytest.mark.parametrize(
    "header", ["gzip", "GZIP", "br, gzip", "deflate, gzip;q=0.5", "gzip; q=1", "*", "br;q=1.0, *;q=0.1", "gzip;q=0.001"]
)
def test_a_client_that_says_so_takes_gzip(header: str) -> None:
    assert takes_gzip(header)


@pytest.mark.parametrize("header", [None, "", "br", "identity", "gzip;q=0", "gzip; q=0.000", "*;q=0", "gzip;q=0, *"])
def test_any_other_takes_what_is_plain(header: str | None) -> None:
    assert not takes_gzip(header)


def test_the_headers_say_which_form_it_is_and_that_it_depends_on_the_client() -> None:
    content = Content(LONG)
    compressed, headers = content.for_client("gzip")
    assert (gzip.decompress(compressed), headers) == (LONG, {"Vary": "Accept-Encoding", "Content-Encoding": "gzip"})
    assert content.for_client(None) == (LONG, {"Vary": "Accept-Encoding"})


def test_what_is_short_is_sent_as_it_is() -> None:
    assert Content(b"[]").for_client("gzip") == (b"[]", {"Vary": "Accept-Encoding"})


def test_the_same_content_is_always_the_same_bytes() -> None:
    assert Content(LONG).compressed == Content(LONG).compressed
