"""Pages as they were sent: their elements, loaded files, and inline scripts or styles."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx

_VOID = frozenset({"meta", "link", "br", "input", "img", "hr"})
_INLINE = frozenset({"style", "nonce", "srcdoc"})
_ADDRESSES = frozenset({"href", "src", "action", "srcset", "poster", "data", "content", "formaction"})
_CODE = frozenset({"script", "style"})
_APART = frozenset({"br", "p", "div", "li", "dt", "dd", "section", "h1", "h2", "h3", "option"})


@dataclass
class Markup(HTMLParser):
    """One page."""

    text: str
    addresses: list[str] = field(default_factory=list)
    inline: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    words: str = ""
    unclosed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.feed(self.text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.addresses += [values[name] for name in _ADDRESSES if name in values and tag != "meta"]
        self.inline += [f"{tag} {name}" for name in values if name in _INLINE or name.startswith("on")]
        # A page shows one copy of a template's content at a time.
        self.ids += [values["id"]] if "id" in values and "template" not in self.unclosed else []
        if tag == "script" or (tag == "link" and values.get("rel") in {"stylesheet", "modulepreload", "icon"}):
            self.loaded.append(values.get("src") or values.get("href", ""))
        self.words += " " if tag in _APART else ""
        if tag not in _VOID:
            self.unclosed.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if self.unclosed and self.unclosed[-1] == tag:
            self.unclosed.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.unclosed, f"</{tag}> closes nothing"
        assert self.unclosed[-1] == tag, f"</{tag}> closes <{self.unclosed[-1]}>"
        self.unclosed.pop()

    def handle_data(self, data: str) -> None:
        if self.unclosed and self.unclosed[-1] in _CODE and data.strip():
            self.inline.append(data)
        self.words += data

    @property
    def said(self) -> str:
        """The text of the page, with single spaces."""
        return re.sub(r"[\s\u00a0]+", " ", self.words)


def markup_of(reply: httpx.Response) -> Markup:
    """Return the page in the reply, which must be HTML."""
    assert reply.headers["content-type"] == "text/html; charset=utf-8", reply.text
    markup = Markup(reply.text)
    assert markup.unclosed == [], "elements are left open"
    assert len(markup.ids) == len(set(markup.ids)), "an id is given twice"
    return markup
