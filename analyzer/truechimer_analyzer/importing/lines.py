"""Reading a file line by line, gzipped or not, with no line longer in memory than it may be."""

from __future__ import annotations

import gzip
import zlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from truechimer.errors import NothingThere, UserError
from truechimer_analyzer.importing.found import Block, Line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LINE_LIMIT = 1 << 20
"""Histograms of a log are the longest lines there are: some 10 kB."""
_BLOCK_BYTES = 1 << 16
_GZIP = b"\x1f\x8b"


@contextmanager
def lines_of(path: Path) -> Iterator[Iterator[Line]]:
    """The lines of a file while it is open; UTF-8, a byte order mark is dropped.

    What is no text, longer than ``LINE_LIMIT`` or behind damage of the gzip comes as a line with ``why``.
    Raises NothingThere where no file is, UserError for what cannot be read.
    """
    with blocks_of(path) as blocks:
        yield singly(blocks)


@contextmanager
def blocks_of(path: Path) -> Iterator[Iterator[Line | Block]]:
    """As :func:`lines_of`, but many lines at a time as long as a plain file is all text."""
    with _opened(path) as file:
        yield _lines(file) if isinstance(file, gzip.GzipFile) else _blocks(file)


def singly(blocks: Iterable[Line | Block]) -> Iterator[Line]:
    """The lines one by one."""
    for each in blocks:
        if isinstance(each, Line):
            yield each
            continue
        for number, text in enumerate(each.text.split("\n")[:-1], each.number):
            yield Line(number, text.rstrip("\r"))


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes] | gzip.GzipFile]:
    try:
        with path.open("rb") as raw:
            is_gzip = raw.read(2) == _GZIP
            raw.seek(0)
            if is_gzip:
                with gzip.GzipFile(fileobj=raw) as unpacked:
                    yield unpacked
            else:
                yield raw
    except FileNotFoundError as error:
        raise NothingThere(f"reading {path}: there is no such file") from error
    except IsADirectoryError as error:
        raise UserError(f"reading {path}: it is a directory", hint="name one file") from error
    except OSError as error:
        raise UserError(f"reading {path}: {error.strerror or error}") from error


def _blocks(file: IO[bytes]) -> Iterator[Line | Block]:
    number = 0
    while True:
        begin = file.tell()
        raw = file.read(_BLOCK_BYTES)
        if raw and not raw.endswith(b"\n"):
            raw += file.readline(LINE_LIMIT)
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            text = ""
        if not text.endswith("\n") or "\0" in text:
            # The end, or what needs to be looked at line by line.
            file.seek(begin)
            yield from _lines(file, number)
            return
        yield Block(number + 1, text.lstrip("\ufeff") if number == 0 else text)
        number += raw.count(b"\n")


def _lines(file: IO[bytes] | gzip.GzipFile, number: int = 0) -> Iterator[Line]:
    """Those from where the file stands, ``number`` lines into it."""
    read = file.readline
    while True:
        number += 1
        try:
            raw = read(LINE_LIMIT)
            whole = len(raw) < LINE_LIMIT or raw.endswith(b"\n")
            if not whole:
                _skip(file)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            yield Line(
                number, "", f"the gzip file is damaged or ends too early here ({error}): the rest is lost"
            )
            return
        if not raw:
            return
        if not whole:
            yield Line(number, raw[:200].decode(errors="replace"), f"longer than {LINE_LIMIT} bytes")
            continue
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            yield Line(number, repr(raw[:60])[2:-1], "no text: not UTF-8")
            continue
        if "\0" in text:
            yield Line(number, repr(raw[:60])[2:-1], "no text: it has NUL characters")
            continue
        yield Line(number, (text.lstrip("\ufeff") if number == 1 else text).rstrip("\r\n"))


def _skip(file: IO[bytes] | gzip.GzipFile) -> None:
    """To the end of a line that is too long, without keeping it."""
    while (part := file.readline(LINE_LIMIT)) and not part.endswith(b"\n"):
        pass
