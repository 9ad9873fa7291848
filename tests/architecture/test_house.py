"""House rules that no linter checks. Imports between folders are checked by import-linter."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import skyhold

SOURCE = Path(skyhold.__file__).parents[1]
MODULES = sorted(SOURCE.rglob("*.py"))

LONGEST_FILE = 400
LONGEST_FUNCTION = 60

SAYS_NOTHING = {"utils", "helpers", "common", "core", "misc", "base", "manager", "data", "info"}

LOGGING_METHODS = {"debug", "info", "warning", "warn", "error", "exception", "critical", "log", "msg", "bind"}
LOGGERS = {"log", "logger", "logging"}
CARD_DATA = ("paymentCode", "payment_code", "digits", "PaymentCode")


TREES = {module.relative_to(SOURCE).as_posix(): ast.parse(module.read_text(encoding="utf-8")) for module in MODULES}


def test_every_module_says_what_it_is() -> None:
    assert [name for name, tree in TREES.items() if not ast.get_docstring(tree)] == []


def test_every_file_and_function_is_short_enough_to_be_read() -> None:
    assert [str(module) for module in MODULES if len(module.read_text().splitlines()) > LONGEST_FILE] == []
    assert [
        f"{name}: {node.name}"
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _lines(node) > LONGEST_FUNCTION
    ] == []


def test_every_modules_name_says_what_is_in_it() -> None:
    assert [name for name in TREES if SAYS_NOTHING.intersection(Path(name).with_suffix("").parts)] == []


def test_no_log_line_is_given_a_payment_code() -> None:
    lines = [(name, line) for name, tree in TREES.items() for line in _log_lines(tree)]
    assert len(lines) > 5, "the check must find the log lines there are"
    assert [(name, line) for name, line in lines if any(word in line for word in CARD_DATA)] == []


def test_every_way_to_write_a_log_line_is_known_to_the_check() -> None:
    for line in (
        "_log.info('x', a=b)",
        "self._log.bind(a=b)",
        "log.bind(x=1).warning(a, b)",
        "logging.getLogger(__name__).error(a, b)",
        "workflow.logger.warning(a, b)",
    ):
        assert list(_log_lines(ast.parse(line))), line
    assert list(_log_lines(ast.parse("inbox.info(a, b)"))) == []


def test_the_domain_needs_nothing_but_the_standard_library() -> None:
    imports = [
        (name, imported)
        for name, tree in TREES.items()
        if name.startswith("skyhold/domain/")
        for imported in _imports(tree)
        if not imported.startswith("skyhold.domain")
    ]
    assert [found for found in imports if found[1].partition(".")[0] not in sys.stdlib_module_names] == []
    assert [found for found in imports if found[1] in {"asyncio", "logging", "time", "os"}] == []


def test_every_test_that_shows_a_guarantee_exists() -> None:
    tests = Path(__file__).parents[1]
    page = tests.with_name("docs").joinpath("guarantees.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", page))
    there = {name for file in tests.rglob("test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text())}
    assert len(named) > 20
    assert named - there == set()
    files = set(re.findall(r"`([\w/]+/test_\w+\.py)`", page))
    assert [file for file in files if not (tests / file).exists()] == []


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def _log_lines(tree: ast.AST) -> Iterator[str]:
    """Yield the arguments of each logging call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOGGING_METHODS:
            speaker = re.split(r"[.(]", ast.unparse(node.func.value))
            if any(part.strip("_").lower() in LOGGERS for part in speaker):
                yield ", ".join(ast.unparse(given) for given in [*node.args, *node.keywords])
