"""A refusal that is an answer too."""

from __future__ import annotations

from typing import Any

from truechimer.errors import NotEnough


class TimeoutsRefused(NotEnough):
    """Every use was refused; ``document`` is the answer with the reasons and what is supported."""

    def __init__(self, message: str, document: dict[str, Any], *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.document = document
