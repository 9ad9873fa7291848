"""The files that pages load: modules, styles, pictures. Read and compressed once, and cached by browsers for a year.

Every address contains one digest over the whole folder, so modules import each other by relative addresses without a
build step, and a browser never mixes files of two versions. During an upgrade a page of one version may request its
files from a process of the other: it gets the files of that process, and revalidates them the next time.

Modules are sent without their comments, which would only cost transfer on a phone; nothing else is minified.

Owns the set of files and their addresses. Nothing outside the folder can be reached: a name is looked up among the
files that were read, and is never used as a path.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request, Response

from skyhold.web.compression import BEST, VARY, Content
from skyhold.web.errors import NotFound
from skyhold.web.revalidation import is_known, whole_header

FOLDER = Path(__file__).parent / "static"

IS_CHECKOUT = not {"site-packages", "dist-packages"}.intersection(FOLDER.parts)
"""True in a checkout, where files may be edited: a change is then served at the next request."""

_KEPT = "public, max-age=31536000, immutable"
_ASKED_AGAIN = "no-cache"
_DAY = "public, max-age=86400"

_TAG_LENGTH = 8
"""Hexadecimal digits, enough to distinguish two versions of a file; the first view of a page has thirty such tags."""

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
}
"""Files with any other suffix are not assets and are not served."""


_IMPORT = re.compile(r'^(?:import|export|\})[^"(\n]*"\./([^"]+)"', re.MULTILINE)
"""Static imports, which load with the module; an `import()` loads on demand."""

_COMMENTS = re.compile(rb"^[ \t]*(?:/\*\*(?:(?!\*/)[\s\S])*\*/[ \t]*|//[^\n]*|)\n", re.MULTILINE)
"""Whole lines of comment, and empty lines; a comment behind code stays."""


@dataclass(frozen=True)
class Asset:
    """A file as it is sent; `imports` are the modules that a module imports."""

    content: Content
    media_type: str
    tag: str
    imports: tuple[str, ...] = ()


class Assets:
    """The files of a folder; if it `is_watched`, `renew` reads changed files again, before each reply."""

    def __init__(self, folder: Path = FOLDER, *, is_watched: bool = IS_CHECKOUT) -> None:
        self._folder = folder
        self._is_watched = is_watched
        self._stamp = self._look()
        self._digest, self._assets = self._read()

    @property
    def digest(self) -> str:
        """The digest over all files; it changes when any of them does."""
        return self._digest

    def address_of(self, name: str) -> str:
        """Return the address of the file.

        Raises:
            KeyError: there is no such file, which is a mistake in a template.
        """
        if name not in self._assets:
            raise KeyError(name)
        return f"/static/{self._digest}/{name}"

    def modules_of(self, name: str) -> list[str]:
        """Return the module and all modules that load with it, so that a page can preload them together.

        Raises:
            KeyError: there is no such file.
        """
        found, wanted = set[str](), [name]
        while wanted:
            name = wanted.pop()
            if name not in found:
                found.add(name)
                wanted += self._assets[name].imports
        return sorted(found)

    def find(self, name: str) -> Asset | None:
        """Return the file of this name, or None."""
        return self._assets.get(name)

    def renew(self) -> None:
        """Read the files again if they are watched and have changed."""
        if not self._is_watched:
            return
        # An editor may be in the middle of replacing a file: the next request finds it done.
        with contextlib.suppress(OSError):
            if (stamp := self._look()) != self._stamp:
                self._digest, self._assets = self._read()
                self._stamp = stamp

    def _look(self) -> frozenset[tuple[str, int, int]]:
        stats = ((path.name, path.stat()) for path in self._paths())
        return frozenset((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)

    def _read(self) -> tuple[str, dict[str, Asset]]:
        whole, assets = hashlib.sha256(), {}
        for path in sorted(self._paths()):
            plain = path.read_bytes()
            own = hashlib.sha256(plain).hexdigest()
            whole.update(f"{path.name} {own}\n".encode())
            imports = tuple(_IMPORT.findall(plain.decode())) if path.suffix == ".js" else ()
            content = Content(_without_comments(plain) if path.suffix == ".js" else plain, level=BEST)
            assets[path.name] = Asset(content, _MEDIA_TYPES[path.suffix], f'W/"{own[:_TAG_LENGTH]}"', imports)
        return whole.hexdigest()[:16], assets

    def _paths(self) -> list[Path]:
        return [path for path in self._folder.iterdir() if path.suffix in _MEDIA_TYPES and path.is_file()]


def _without_comments(module: bytes) -> bytes:
    """Return a module without comments and empty lines, which are a third of it; no line of code changes."""
    return _COMMENTS.sub(b"", module)


router = APIRouter(include_in_schema=False)


@router.get("/static/{digest}/{name}")
async def give_asset(request: Request, digest: str, name: str) -> Response:
    """Serve a file of the folder: immutable, or to be revalidated if another version of the pages requests it."""
    assets: Assets = request.app.state.assets
    assets.renew()
    return _told(request, assets.find(name), _KEPT if digest == assets.digest else _ASKED_AGAIN)


@router.get("/favicon.ico")
async def give_icon(request: Request) -> Response:
    """Serve the icon at its default address, which browsers request when they show JSON."""
    assets: Assets = request.app.state.assets
    return _told(request, assets.find("favicon.svg"), _DAY)


def _told(request: Request, asset: Asset | None, cache_control: str) -> Response:
    if asset is None:
        raise NotFound
    headers = {"ETag": asset.tag, "Cache-Control": cache_control}
    if is_known(asset.tag, whole_header(request, "If-None-Match")):
        return Response(status_code=304, headers={**headers, "Vary": VARY})
    body, form = asset.content.for_client(request.headers.get("Accept-Encoding"))
    return Response(body, media_type=asset.media_type, headers={**headers, **form})
