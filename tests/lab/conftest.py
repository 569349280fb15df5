"""Fixtures of the lab."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from lab.harness import Network, ShiftedClock, build_shiftclock


@pytest.fixture
def network() -> Iterator[Network]:
    """An empty network; `network.host(name)` adds hosts."""
    with Network() as made:
        yield made


@pytest.fixture(scope="session")
def shiftclock_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled preload of shifted wall clocks."""
    return build_shiftclock(tmp_path_factory.mktemp("shiftclock"))


@pytest.fixture
def shifted_clock(shiftclock_library: Path, tmp_path: Path) -> Iterator[Callable[..., ShiftedClock]]:
    """Call it as `shifted_clock(shift_ns=0)` for a new wall clock."""
    with ExitStack() as clocks:
        made = 0

        def make(shift_ns: int = 0) -> ShiftedClock:
            nonlocal made
            made += 1
            return clocks.enter_context(
                ShiftedClock(shiftclock_library, tmp_path / f"shift-{made}.bin", shift_ns)
            )

        yield make
