"""Every page and section of the documentation that code, tests or pages link to exists."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

_CITED = re.compile(r"\bdocs/[\w/.-]+\.md(?:#[\w-]+)?")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def _texts(*endings: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - the one that cloned it
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name.endswith(endings) and (ROOT / name).is_file()]


@cache
def _sections(page: Path) -> frozenset[str]:
    """Return the anchors of a page's headings in rendered Markdown: lower case, hyphens for spaces."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return frozenset(re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-") for heading in headings)


def _is_there(page: Path, section: str) -> bool:
    return page.is_file() and (not section or section in _sections(page))


def test_every_citation_of_a_page_leads_to_a_section_that_exists() -> None:
    cited = [
        (file, citation)
        for file in _texts(".py", ".js", ".css", ".lua", ".html", ".toml", ".yaml", "Makefile", ".importlinter")
        for citation in _CITED.findall(file.read_text(encoding="utf-8"))
    ]
    assert len(cited) > 20, "the check must find the citations there are"
    missing = [
        f"{file.relative_to(ROOT)}: {citation}"
        for file, citation in cited
        for page, _, section in [citation.partition("#")]
        if not _is_there(ROOT / page, section)
    ]
    assert missing == []


def test_every_link_between_pages_leads_to_a_section_that_exists() -> None:
    missing = []
    links = 0
    for file in _texts(".md"):
        for link in _LINK.findall(_FENCED.sub("", file.read_text(encoding="utf-8"))):
            if re.match(r"[a-z]+:", link):
                continue
            links += 1
            page, _, section = link.partition("#")
            target = file.parent / page if page else file
            if not (target.exists() if not section else _is_there(target, section)):
                missing.append(f"{file.relative_to(ROOT)}: {link}")
    assert links > 50, "the check must find the links there are"
    assert missing == []
