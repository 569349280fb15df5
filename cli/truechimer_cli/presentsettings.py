"""``--product`` and ``--current``: a configuration is read here, and only its settings' values are sent.

Whoever answers reads no file of ours: the values go with the question. Passwords and names stay here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from truechimer.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

_STDIN = "-"


def product_options(products: Sequence[str], current: str | None) -> dict[str, str]:
    """The options ``product`` and ``current`` of a question, of ``--product`` (repeated) and a file's path.

    The product is told from the file where none is named. Raises UserError for a file that cannot be read,
    is of no product or of several, or holds a bad value.
    """
    from truechimer_analyzer.advice.asked import parse_products

    named = ",".join(products)
    if current is None:
        return {"product": named} if named else {}
    from truechimer_analyzer.advice.current import read_present

    text = _read(current)
    try:
        present = read_present(text, parse_products(named) if named else ())
    except UserError as error:
        raise UserError(f"reading {current}: {error}", hint=error.hint) from error
    sent = json.dumps({present.product: present.settings}, separators=(",", ":"))
    return {"product": named or present.product, "current": sent}


def _read(path: str) -> str:
    try:
        if path == _STDIN:
            return sys.stdin.read()
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"reading {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"reading {path}: it is no UTF-8 text") from error
