"""The static files of the pages: under one hash, cached for a year, only from their folder."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from skyhold.web.pages.assets import FOLDER, Assets
from support.web import ScriptedServices, app_over, client_of

NAMES = sorted(path.name for path in FOLDER.iterdir() if path.suffix in {".css", ".js", ".svg"})
TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


@pytest.fixture
async def api() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app_over(ScriptedServices())) as client:
        yield client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.css").write_text("a {}")
    (tmp_path / "b.js").write_text("export {};")
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
async def test_every_file_is_served_for_what_it_is_and_kept_for_good(name: str, api: httpx.AsyncClient) -> None:
    reply = await api.get(Assets().address_of(name))
    assert reply.status_code == 200
    written = (FOLDER / name).read_text().splitlines()
    sent = [line for line in written if not re.match(r"\s*(//|/\*\*|\*|$)", line)] if name.endswith(".js") else written
    assert reply.text.splitlines() == sent
    assert reply.headers["content-type"] == f"{TYPES[name.rpartition('.')[2]]}; charset=utf-8"
    assert reply.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert reply.headers["vary"] == "Accept-Encoding"
    assert reply.headers["x-content-type-options"] == "nosniff"


async def test_a_file_is_sent_compressed_to_who_takes_it_so(api: httpx.AsyncClient) -> None:
    address = Assets().address_of("base.css")
    async with api.stream("GET", address, headers={"accept-encoding": "gzip"}) as reply:
        compressed = b"".join([piece async for piece in reply.aiter_raw()])
    assert reply.headers["content-encoding"] == "gzip"
    assert int(reply.headers["content-length"]) == len(compressed)
    plain = await api.get(address, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(compressed) == plain.content


async def test_head_tells_what_get_would_without_the_file(api: httpx.AsyncClient) -> None:
    got, head = await api.get(Assets().address_of("base.css")), await api.head(Assets().address_of("base.css"))
    assert (head.status_code, head.content) == (200, b"")
    assert all(head.headers[name] == got.headers[name] for name in ("content-length", "content-type", "etag"))


async def test_a_file_that_a_browser_has_is_not_sent_again(api: httpx.AsyncClient) -> None:
    address = Assets().address_of("base.css")
    tag = (await api.get(address)).headers["etag"]
    again = await api.get(address, headers={"if-none-match": tag, "accept-encoding": "gzip"})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert "content-encoding" not in again.headers


async def test_a_page_of_another_version_gets_the_files_there_are_and_asks_again(api: httpx.AsyncClient) -> None:
    reply = await api.get("/static/0123456789abcdef/base.css")
    assert (reply.status_code, reply.content) == (200, (FOLDER / "base.css").read_bytes())
    assert reply.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "name",
    [
        "nothing.js",
        "",
        "..",
        "../app.py",
        "..%2fapp.py",
        "..%2F..%2Fweb%2Fapp.py",
        "%2e%2e/app.py",
        "base.css/",
        "__init__.py",
    ],
)
async def test_there_is_nothing_else_to_get(name: str, api: httpx.AsyncClient) -> None:
    for digest in (Assets().digest, "anything"):
        reply = await api.get(f"/static/{digest}/{name}")
        assert (reply.status_code, reply.json()["error"]) == (404, "NOT_FOUND")
        assert reply.headers["cache-control"] == "no-store"


async def test_browsers_that_look_for_an_icon_find_it(api: httpx.AsyncClient) -> None:
    reply = await api.get("/favicon.ico")
    assert (reply.status_code, reply.content) == (200, (FOLDER / "favicon.svg").read_bytes())
    assert reply.headers["content-type"].startswith("image/svg+xml")
    assert reply.headers["cache-control"] == "public, max-age=86400"


def test_the_hash_changes_with_every_file(folder: Path) -> None:
    first = Assets(folder).digest
    assert Assets(folder).digest == first
    (folder / "a.css").write_text("b {}")
    second = Assets(folder).digest
    (folder / "a.css").rename(folder / "c.css")
    assert len({first, second, Assets(folder).digest}) == 3
    assert re.fullmatch("[0-9a-f]{16}", first)


def test_where_files_are_written_a_change_is_seen_at_once_and_elsewhere_never(folder: Path) -> None:
    watched, kept = Assets(folder, is_watched=True), Assets(folder, is_watched=False)
    before = kept.digest
    (folder / "a.css").write_text("b {}")
    os.utime(folder / "a.css", ns=(1, 1))
    for assets in (watched, kept):
        assets.renew()
    found = watched.find("a.css")
    assert found
    assert found.content.plain == b"b {}"
    assert watched.digest != before == kept.digest


def test_a_template_that_names_no_file_is_a_mistake(folder: Path) -> None:
    with pytest.raises(KeyError):
        Assets(folder).address_of("missing.js")


def test_of_a_module_comments_are_not_sent_and_no_code_is_changed(folder: Path) -> None:
    code = [
        'const a = "//"; // why',
        "  const b = `",
        "  ${a ? `${a} b` : 1 /** no */}`;",
        "/* kept */",
        "export { a };",
    ]
    said = ["// What it owns.", "", "/** A. */", "  /**", "   * Of a:", "   * @param {a} b", "   */"]
    (folder / "a.js").write_text(
        "\n".join([*said, *(line for pair in zip(code, said, strict=False) for line in pair), ""])
    )
    found = Assets(folder).find("a.js")
    assert found
    assert [line for line in found.content.plain.decode().splitlines() if line not in said] == code
    assert b"What it owns" not in found.content.plain
    assert b"@param" not in found.content.plain


def test_the_modules_of_a_page_are_found_in_the_modules(folder: Path) -> None:
    (folder / "a.js").write_text(
        'import { b } from "./b.js";\nimport {\n  c,\n} from "./c.js";\nimport("./later.js");\n'
    )
    (folder / "b.js").write_text('// from "./nowhere.js"\nexport { c } from "./c.js";\nimport "./d.js";\n')
    (folder / "c.js").write_text('import { a } from "./a.js";\n')
    (folder / "d.js").write_text('const text = "./no.js";\n')
    assets = Assets(folder)
    assert assets.modules_of("a.js") == ["a.js", "b.js", "c.js", "d.js"]
    assert assets.modules_of("d.js") == ["d.js"]


def test_modules_and_styles_load_only_files_that_are_there() -> None:
    for path in FOLDER.iterdir():
        text = path.read_text(encoding="utf-8")
        loaded = re.findall(r'(?:from|import)\s*\(?"(.*?)"', text) if path.suffix == ".js" else []
        loaded += re.findall(r"url\([\"']?(?!data:|\"data:)(.*?)[\"']?\)", text) if path.suffix == ".css" else []
        assert {name.removeprefix("./") for name in loaded} <= set(NAMES), path.name
        assert all(name.startswith("./") for name in loaded), path.name
