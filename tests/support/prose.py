"""The prose of the repository, sentence by sentence as people read it: docstrings, comments, messages, pages, documents."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FSTRING_MIDDLE = getattr(tokenize, "FSTRING_MIDDLE", -1)
"""The text around the braces of an f-string; before Python 3.12 the whole literal is one string."""

_SENTENCE = re.compile(r"[a-z]{2,},? [a-z]{2,}")
"""A string of a program that has two words beside each other is a message; others are names, formats and statements."""

_STATEMENT = re.compile(
    r"\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH|CREATE|ALTER|DROP|SET|FROM|WHERE|UNION|AND|ORDER|COALESCE)\b"
)
_SQL_COMMENT = re.compile(r"--[^\n]*")
_JS_COMMENT = re.compile(r"/\*.*?\*/|(?<![:\"'`\w])//[^\n]*", re.DOTALL)
_JS_STRING = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|`[^`]*`")
_LUA_COMMENT = re.compile(r"--[^\n]*")
_MARKUP = re.compile(r"\{[%#].*?[%#]\}|\{\{.*?\}\}|<[^>]*>", re.DOTALL)
_FENCED = re.compile(r"^```.*?^```$|^ {4}\S[^\n]*$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Text:
    """A piece of prose and where it begins; the opening of a docstring follows rules of its own."""

    file: Path
    line: int
    words: str
    is_docstring: bool = False

    def line_of(self, offset: int) -> int:
        """Return the line of the character at this offset."""
        return self.line + self.words.count("\n", 0, offset)


def prose_of(file: Path, *, with_messages: bool = True) -> Iterator[Text]:
    """Yield the prose of a file by its kind; messages are what a program prints, logs or renders."""
    text = file.read_text(encoding="utf-8")
    match file.suffix:
        case ".py":
            yield from _of_python(file, text, with_messages=with_messages)
        case ".js":
            yield from _found(file, text, _JS_COMMENT)
            yield from (each for each in _found(file, text, _JS_STRING) if _SENTENCE.search(each.words))
        case ".css" | ".c":
            yield from _found(file, text, _JS_COMMENT)
        case ".lua":
            yield from _found(file, text, _LUA_COMMENT)
        case ".html":
            yield Text(file, 1, _blanked(_MARKUP, text))
        case ".md":
            yield Text(file, 1, _blanked(_FENCED, text))


def _of_python(file: Path, text: str, *, with_messages: bool) -> Iterator[Text]:
    tree = ast.parse(text)
    docstrings = [
        statement
        for node in ast.walk(tree)
        for statement in _body_of(node)
        if isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    ]
    lines = {line for each in docstrings for line in range(each.lineno, (each.end_lineno or each.lineno) + 1)}
    for each in docstrings:
        assert isinstance(each.value, ast.Constant)
        yield Text(file, each.lineno, str(each.value.value), is_docstring=True)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield Text(file, token.start[0], token.string)
        elif token.type == tokenize.STRING and token.start[0] not in lines:
            yield from _found(file, token.string, _SQL_COMMENT, first=token.start[0])
            if with_messages and _SENTENCE.search(token.string) and not _is_statement(token.string):
                yield Text(file, token.start[0], token.string)
        elif token.type == _FSTRING_MIDDLE and with_messages and _SENTENCE.search(token.string):
            yield Text(file, token.start[0], token.string)


def _body_of(node: ast.AST) -> list[ast.stmt]:
    body = getattr(node, "body", None)
    return body if isinstance(body, list) else []


def _is_statement(literal: str) -> bool:
    return _STATEMENT.match(literal.lstrip("rfbRFB\"'").lstrip("\\")) is not None


def _found(file: Path, text: str, pattern: re.Pattern[str], *, first: int = 1) -> Iterator[Text]:
    for found in pattern.finditer(text):
        yield Text(file, first + text.count("\n", 0, found.start()), found.group())


def _blanked(pattern: re.Pattern[str], text: str) -> str:
    """Return the text without these parts and with all of its lines."""
    return pattern.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)
