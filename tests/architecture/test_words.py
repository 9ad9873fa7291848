"""The words of the field in every sentence: habits of speech that hide what a thing is are counted, and named by place.

Vague words (`nobody`, `anew` ...) are never right. `tell` for each kind of sending, returning and showing, and a clause
with "what" in the place of a noun, are right now and then, so a few are allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from support.prose import Text, prose_of

ROOT = Path(__file__).parents[2]

ALLOWED_IN_10_000_WORDS = 2

_PLACES = ("src/**/*", "tools/**/*", "tests/**/*", "docs/*.md", "*.md")
_LEFT_OUT = re.compile(r"/node_modules/|/histories/|/tools/js/|/CHANGELOG\.md$|/tests/architecture/test_words\.py$")
_KINDS = {".py", ".js", ".css", ".c", ".lua", ".html", ".md"}

NEVER = {
    "nobody, somebody, anybody, everybody": re.compile(r"\b(?:no|some|any|every)body(?:'s)?\b", re.IGNORECASE),
    "anew": re.compile(r"\banew\b", re.IGNORECASE),
    "for ever": re.compile(r"\bfor ever\b", re.IGNORECASE),
    "lately": re.compile(r"\blately\b", re.IGNORECASE),
    "whom": re.compile(r"\bwhom\b", re.IGNORECASE),
    "of ours": re.compile(r"\bof (?:ours|theirs|yours|mine|hers)\b", re.IGNORECASE),
}
SELDOM = {
    "tell, told": re.compile(r"\b(?:tells?|telling|told)\b", re.IGNORECASE),
    "what is, was, has ... for a noun": re.compile(
        r"\bwhat (?:is|was|has|are|were|have)\b(?![^.?!:;\n]*\?)", re.IGNORECASE
    ),
}
_OPENING = re.compile(r"\s*(?:What|Who|How|Where|Whether)\b(?![^.]*\?)")


@cache
def _prose() -> tuple[Text, ...]:
    files = sorted({file for place in _PLACES for file in ROOT.glob(place) if file.suffix in _KINDS and file.is_file()})
    return tuple(
        text
        for file in files
        if not _LEFT_OUT.search(file.as_posix())
        for text in prose_of(file, with_messages="tests" not in file.relative_to(ROOT).parts)
    )


def _places_of(pattern: re.Pattern[str]) -> Iterator[str]:
    for text in _prose():
        for found in pattern.finditer(text.words):
            yield f"{text.file.relative_to(ROOT)}:{text.line_of(found.start())}: {found.group()}"


def _allowed() -> float:
    words = sum(len(text.words.split()) for text in _prose())
    assert words > 50_000, "the check must find the prose there is"
    return words * ALLOWED_IN_10_000_WORDS / 10_000


@pytest.mark.parametrize("name", NEVER)
def test_vague_words_are_nowhere(name: str) -> None:
    assert list(_places_of(NEVER[name])) == []


@pytest.mark.parametrize("name", SELDOM)
def test_words_that_hide_a_noun_or_a_verb_are_rare(name: str) -> None:
    found = list(_places_of(SELDOM[name]))
    assert len(found) < _allowed(), "\n".join(found)


def test_a_docstring_opens_with_the_thing_or_with_what_it_does() -> None:
    found = [
        f"{text.file.relative_to(ROOT)}:{text.line}: {text.words.strip().splitlines()[0][:80]}"
        for text in _prose()
        if text.is_docstring and _OPENING.match(text.words)
    ]
    assert len(found) < _allowed(), "\n".join(found)
