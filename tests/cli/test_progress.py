"""The bar of long readings."""

import io

import pytest

from truechimer_cli.progress import bar


class Terminal(io.StringIO):
    """A stderr that somebody looks at, or not."""

    def __init__(self, looked_at: bool) -> None:
        super().__init__()
        self.looked_at = looked_at

    def isatty(self) -> bool:
        return self.looked_at


def draw(monkeypatch: pytest.MonkeyPatch, looked_at: bool, seconds: list[float]) -> str:
    screen = Terminal(looked_at)
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    times_s = iter([0.0, *seconds])
    with bar(lambda: next(times_s, seconds[-1])) as progress:
        for done in range(len(seconds)):
            progress(1_000_000 * (done + 1), 86_400_000)
    return screen.getvalue()


def test_a_long_reading_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a second, with all that there is to read."""
    assert "reading 86,400,000 probes" in draw(monkeypatch, looked_at=True, seconds=[0.5, 2.0, 3.0])


def test_short_readings_and_pipes_show_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits, or nobody looks."""
    assert draw(monkeypatch, looked_at=True, seconds=[0.1, 0.5]) == ""
    assert draw(monkeypatch, looked_at=False, seconds=[0.5, 2.0, 30.0]) == ""
