"""What stores mean by their answers to ``/api/v2/write``: pure functions over status, headers and body.

Sources: the InfluxDB v2 API reference (POST /api/v2/write), InfluxDB 3's partial-write answers, RFC 9110
section 10.2.3 (Retry-After), and truechimer's own analyzer (docs/sinks.md).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from truechimer.lineprotocol import RefusedLine
from truechimer_agent.sinks.sending import Retry, Trouble

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_RETRY_AFTER_S = 3600.0
_EXCERPT = 300
_REFUSALS = frozenset({400, 422})
_BUSY = frozenset({408, 425, 429, 503})
_HINTS = {
    401: "give [[sink]] a token_file whose token the store knows",
    403: "give the token the right to write to this bucket",
    404: "check url, org and bucket of this [[sink]], and that the bucket exists",
}
_REFUSING_CODES = ("invalid", "unprocessable entity")
_JUDGING = ("partial write", "unable to parse", "dropped=")
_DROPPED = re.compile(r"dropped=(\d+)")
_UNPARSED = "unable to parse '"


class Verdict(Enum):
    """What an answer says of the batch."""

    STORED = auto()
    LINES = auto()  # some lines are refused, and it says which or how many
    BATCH = auto()  # a store, or a limit on sizes, refuses it as a whole
    WORDS = auto()  # something refuses it in plain words: a store, or whatever else listens there
    OTHER = auto()  # it says nothing of the lines


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and (the beginning of) the body of an HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def header(self, name: str) -> str | None:
        """A header's value, whatever the case of its name."""
        for key, value in self.headers.items():
            if key.lower() == name.lower():
                return value
        return None

    def refusal(self) -> Refusal:
        """What it refuses, when it is a refusal."""
        return read_refusal(self.body)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a store refused of a batch.

    ``numbers``: lines by 1-based number, with why; the store kept the others when ``kept_others``.
    ``texts``: lines quoted in a message. Neither: ``count`` lines, or None when not even that was said.
    """

    why: str
    kept_others: bool
    numbers: Mapping[int, str]
    texts: tuple[str, ...] = ()
    count: int | None = None


def read_refusal(body: bytes) -> Refusal:
    """Read the body of a 400 or 422."""
    document = _document(body)
    message = _message(document) or excerpt(body)
    for key, number, why in (("refused", "line", "why"), ("data", "line_number", "error_message")):
        items = document.get(key)
        if isinstance(items, list):
            numbers = {
                item[number]: str(item.get(why, ""))[:_EXCERPT]
                for item in items
                if isinstance(item, dict) and type(item.get(number)) is int
            }
            if numbers:
                kept_others = key == "refused" or "partial write" in message
                total = document.get("refused_total")
                return Refusal(message, kept_others, numbers, count=total if type(total) is int else None)
    if found := _DROPPED.search(message):
        return Refusal(message, "partial write" in message, {}, count=int(found[1]))
    return Refusal(message, kept_others=False, numbers={}, texts=_quoted(message))


def judge(answer: Answer) -> Verdict:
    """Only 204 is stored: it is what every store answers here, and what a captive portal does not.

    A refusal of lines is JSON that names or counts them, in the terms of the analyzer or of InfluxDB.
    """
    if answer.status == 204:
        return Verdict.STORED
    if answer.status == 413:
        return Verdict.BATCH
    if answer.status not in _REFUSALS or _is_page(answer):
        return Verdict.OTHER
    document = _document(answer.body)
    if not document:
        return Verdict.WORDS
    of_a_store = document.get("code") in _REFUSING_CODES
    judging = any(mark in _message(document) for mark in _JUDGING)
    if answer.refusal().numbers or (judging and (of_a_store or "code" not in document)):
        return Verdict.LINES
    return Verdict.BATCH if of_a_store else Verdict.WORDS


def _is_page(answer: Answer) -> bool:
    """A web page, or nothing at all."""
    body = answer.body.strip()
    return not body or "html" in (answer.header("Content-Type") or "").lower() or body.startswith(b"<")


def retry_for(answer: Answer) -> Retry:
    """The failure that an answer stands for when the batch is to be sent again."""
    status = answer.status
    message = _message(_document(answer.body)) or excerpt(answer.body)
    why = f"HTTP {status}" + (f": {message}" if message else "")
    after_s = retry_after_s(answer.header("Retry-After"))
    if status in _BUSY:
        return Retry(why, trouble=Trouble.BUSY, after_s=after_s)
    if status >= 500:
        return Retry(why, after_s=after_s)
    hint = _HINTS.get(
        status, "check url of this [[sink]]: what answers there is not a store that takes writes"
    )
    return Retry(why, trouble=Trouble.CONFIGURATION, after_s=after_s, hint=hint)


def retry_after_s(text: str | None) -> float | None:
    """Delay in seconds; None without one, and for a date: it would have to be held against W."""
    if text is None or not re.fullmatch(r"\s*\d{1,9}(\.\d{1,9})?\s*", text):
        return None
    return min(float(text), LONGEST_RETRY_AFTER_S)


def refused_lines(lines: bytes, refusal: Refusal) -> tuple[RefusedLine, ...]:
    """The lines of a batch that a refusal names; empty when none of them is in it."""
    rows = lines.split(b"\n")
    named = [
        RefusedLine(number, rows[number - 1][:120].decode(errors="replace"), why)
        for number, why in sorted(refusal.numbers.items())
        if 1 <= number <= len(rows)
    ]
    for text in refusal.texts:
        wanted = text.encode().strip()
        named += [
            RefusedLine(number, row[:120].decode(errors="replace"), refusal.why[:_EXCERPT])
            for number, row in enumerate(rows, start=1)
            if wanted and row.strip() == wanted
        ]
    return tuple({line.number: line for line in named}.values())


def excerpt(body: bytes) -> str:
    """The beginning of a body, printable, on one line."""
    text = body[: 4 * _EXCERPT].decode(errors="replace")
    return "".join(c if c.isprintable() else " " for c in text).strip()[:_EXCERPT]


def _document(body: bytes) -> dict[str, object]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _message(document: Mapping[str, object]) -> str:
    message = document.get("message") or document.get("error") or ""
    return message if isinstance(message, str) else ""


def _quoted(message: str) -> tuple[str, ...]:
    """Lines that InfluxDB 1 and 2 quote: ``unable to parse 'LINE': why``, one per line of the message."""
    texts = []
    for part in message.split("\n"):
        start = part.find(_UNPARSED)
        end = part.rfind("': ")
        if start >= 0 and end > start:
            texts.append(part[start + len(_UNPARSED) : end])
    return tuple(texts)
