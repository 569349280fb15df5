"""The report as one HTML file: no script, nothing to load, for screens in light and dark, and for paper.

It is the Markdown's blocks with their plots. The parser knows only what those blocks use: there is no rule
by which a name from the network could become a link, an image or markup.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

from truechimer import __version__
from truechimer_analyzer.report.blocks import Plot
from truechimer_analyzer.report.markdown import blocks, title

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from truechimer_analyzer.report.blocks import Block
    from truechimer_analyzer.report.parts import Parts

_STYLE = Path(__file__).with_name("report.css")
# Cells of so many characters, figures with their units, are kept on one line.
_SHORT = 20
_RULES = ("emphasis", "escape", "fence", "heading", "list", "table")


def page(parts: Parts) -> str:
    """One HTML document of the parts that are not None."""
    return document(title(parts), blocks(parts))


def document(named: str, pieces: Iterable[Block]) -> str:
    """A whole file of blocks; ``named`` is plain text."""
    style = _STYLE.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    # Whatever slips through above is refused by the browser: nothing runs and nothing is loaded.
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    sections: list[tuple[str, str]] = []
    body = "".join(_rendered(pieces, sections))
    links = "".join(f'<li><a href="#{anchor}">{escape(text)}</a></li>' for anchor, text in sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<link rel="icon" href="data:,">
<title>{escape(named)}</title>
<style>{style}</style>
</head>
<body>
<nav aria-label="Sections"><ul>{links}</ul></nav>
<main>
{body}</main>
<footer>truechimer {escape(__version__)}</footer>
</body>
</html>
"""


def _rendered(pieces: Iterable[Block], sections: list[tuple[str, str]]) -> Iterator[str]:
    """HTML of the blocks in turn; each section's (anchor, plain title) is added to ``sections``."""
    parser = MarkdownIt("zero").enable(_RULES)
    parser.add_render_rule(
        "table_open", lambda *_: '<div class="wide" tabindex="0" role="group" aria-label="table"><table>\n'
    )
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    for is_plot, run in groupby(pieces, lambda piece: isinstance(piece, Plot)):
        if is_plot:
            yield from (_figure(piece) for piece in run if isinstance(piece, Plot))
            continue
        tokens = parser.parse("\n\n".join(piece for piece in run if isinstance(piece, str)))
        for token, inside in pairwise(tokens):
            if token.type == "heading_open" and token.tag == "h2":
                anchor = f"section-{len(sections) + 1}"
                token.attrSet("id", anchor)
                sections.append((anchor, inside.content))
            elif token.type == "td_open" and len(inside.content) <= _SHORT:
                token.attrSet("class", "short")
        yield parser.renderer.render(tokens, parser.options, {})


def _figure(plot: Plot) -> str:
    legend = "".join(f"<li>{mark}<span>{escape(text)}</span></li>" for mark, text in plot.legend)
    said = f"<ul>{legend}</ul><p>{escape(plot.caption)}</p>"
    return f"<figure>{plot.svg}<figcaption>{said}</figcaption></figure>\n"
