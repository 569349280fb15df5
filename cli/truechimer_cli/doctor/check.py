"""One finding of the doctor."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """``why`` says what was found and what it matters for; ``fix`` what can be done about it."""

    check: str
    ok: bool
    why: str
    fix: str | None = None
