"""One HTML file that says how a run went: text, tables and plots, with nothing outside of itself."""

from __future__ import annotations

import base64
import contextlib
import html
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from host.plots import standalone

__all__ = ["Mark", "Report"]

STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --paper: #fff; --quiet: #55626e; --line: #d5dce4;
  --head: #f0f3f7; --good: #1c6b38; --bad: #a3231a; --link: #1f5c99; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e8ee; --paper: #14191f; --quiet: #a5b1bd;
  --line: #36414c; --head: #1f2730; --good: #6fcf8d; --bad: #ff9086; --link: #7db8f2; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
body { max-width: 64rem; margin: 2rem auto; padding: 0 1rem; } a { color: var(--link); }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.4rem; } h3 { font-size: 1.05rem; }
nav ul { padding-left: 1.2rem; columns: 2; } .scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .8rem 0; }
caption { text-align: left; color: var(--quiet); font-size: .9em; padding-bottom: .3rem; }
th, td { padding: .25rem .8rem; border-bottom: 1px solid var(--line); text-align: right; }
th, td { vertical-align: top; }
th[scope=row], td.words { text-align: left; font-weight: normal; } thead th { background: var(--head); }
thead th:first-child { text-align: left; } code { font-size: .92em; overflow-wrap: anywhere; }
figure { margin: 1rem 0; break-inside: avoid; } figcaption, .quiet { color: var(--quiet); font-size: .9em; }
figure svg, figure img { max-width: 100%; height: auto; background: #fff; color: #1d2733; }
svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
.good { color: var(--good); font-weight: 600; } .bad { color: var(--bad); font-weight: 600; }
.missing { border-left: 4px solid var(--line); padding: .2rem .8rem; color: var(--quiet); }
summary { cursor: pointer; margin: .8rem 0; }
@media print { body { max-width: none; margin: 0; font-size: 10pt; } nav, summary { display: none; }
  .scroll { overflow: visible; } a { color: inherit; text-decoration: none; } tr { break-inside: avoid; } }
"""
#: Pictures that may be put into the page, by suffix.
KINDS = {".png": "image/png", ".jpg": "image/jpeg", ".svg": "image/svg+xml"}


class Mark(NamedTuple):
    """A cell that is good, bad or quiet, and says so in words, not in colour alone."""

    text: str
    kind: str  #: good, bad or quiet


class Report:
    """Collects sections in order; `write` makes the file appear complete or not at all."""

    def __init__(self, title: str, *, contents: bool = False):
        self._title = title
        self._contents = contents  #: whether a list of the sections stands at the top
        self._parts: list[str] = []
        self._sections: list[tuple[str, str]] = []
        self._named: dict[str, bytes] = {}

    def heading(self, text: str) -> None:
        anchor = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") + f"-{len(self._sections)}"
        self._sections.append((anchor, text))
        self._parts.append(f'<h2 id="{anchor}">{html.escape(text)}</h2>')

    def subheading(self, text: str) -> None:
        self._parts.append(f"<h3>{html.escape(text)}</h3>")

    def text(self, text: str) -> None:
        self._parts.append(f"<p>{html.escape(text)}</p>")

    def missing(self, what: str, command: str) -> None:
        """Something that is not there, and what makes it."""
        what, command = html.escape(what), html.escape(command)
        self._parts.append(f'<p class="missing">{what}: not made yet; <code>{command}</code> does.</p>')

    def table(
        self, headings: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = "", words: int = 1
    ) -> None:
        """The first column names the row; the first `words` columns are text, the others numbers."""
        head = "".join(f'<th scope="col">{html.escape(one)}</th>' for one in headings)
        body = "".join(f"<tr>{''.join(_cells(row, words))}</tr>" for row in rows)
        label = html.escape(caption or (headings[0] if headings else "") or self._title)
        self._parts.append(
            f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table>'
            + (f"<caption>{html.escape(caption)}</caption>" if caption else "")
            + (f"<thead><tr>{head}</tr></thead>" if any(headings) else "")
            + f"<tbody>{body}</tbody></table></div>"
        )

    def figure(self, svg: str, caption: str, *, name: str = "") -> None:
        """A plot as SVG text, as `host.plots` makes them; with a `name`, `write_pictures` writes it too."""
        if name:
            self._named[f"{name}.svg"] = standalone(svg).encode()
        label = html.escape(caption)
        labelled = svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
        self._parts.append(f"<figure>{labelled}<figcaption>{label}</figcaption></figure>")

    def picture(self, path: Path, caption: str, *, name: str = "") -> None:
        """A file of a picture, taken into the page."""
        if name:
            self._named[f"{name}{path.suffix}"] = path.read_bytes()
        kind, content = KINDS[path.suffix], base64.b64encode(path.read_bytes()).decode()
        label = html.escape(caption)
        self._parts.append(
            f'<figure><img alt="{label}" src="data:{kind};base64,{content}">'
            f"<figcaption>{label}</figcaption></figure>"
        )

    @contextlib.contextmanager
    def folded(self, summary: str) -> Iterator[None]:
        """What is added inside stands behind a line that opens it."""
        self._parts.append(f"<details><summary>{html.escape(summary)}</summary>")
        yield
        self._parts.append("</details>")

    def page(self) -> str:
        title = html.escape(self._title)
        items = "".join(f'<li><a href="#{anchor}">{html.escape(t)}</a></li>' for anchor, t in self._sections)
        contents = f'<nav aria-label="Contents"><ul>{items}</ul></nav>' if self._contents and items else ""
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{title}</title><style>{STYLE}</style></head>"
            f"<body><main><h1>{title}</h1>{contents}{''.join(self._parts)}</main></body></html>\n"
        )

    def write(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(self.page(), encoding="utf-8")
        partial.replace(path)
        return path

    def write_pictures(self, folder: Path) -> list[Path]:
        """The figures that have a name, a file each; a file that is the same already stays untouched."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self._named.items():
            if not (folder / name).is_file() or (folder / name).read_bytes() != content:
                (folder / name).write_bytes(content)
        return [folder / name for name in self._named]


def _cells(row: Sequence[object], words: int) -> Iterator[str]:
    for place, cell in enumerate(row):
        text = html.escape(cell.text if isinstance(cell, Mark) else str(cell))
        if isinstance(cell, Mark):
            text = f'<span class="{cell.kind}">{text}</span>'
        if place == 0:
            yield f'<th scope="row">{text}</th>'
        else:
            yield f'<td class="words">{text}</td>' if place < words else f"<td>{text}</td>"
