"""``python -m truechimer_analyzer run --config FILE``: the analyzer's own entry."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from truechimer.config import load_analyzer
from truechimer.errors import NothingThere, TruechimerError

# Modules that only the analyzer's extra brings.
_EXTRAS = frozenset(
    {"apscheduler", "anyio", "duckdb", "markdown_it", "numpy", "scipy", "starlette", "uvicorn"}
)

log = logging.getLogger("truechimer.analyzer")


def main(arguments: list[str] | None = None) -> int:
    """Run; the exit code (0 fine, 2 usage or configuration, 3 the store cannot be opened)."""
    parser = argparse.ArgumentParser(
        prog="truechimer analyzer", description="Store, judge and show what agents measure."
    )
    parser.add_argument("verb", choices=["run"])
    parser.add_argument("--config", type=Path, help="analyzer.toml; the defaults without it")
    parser.add_argument("-v", "--verbose", action="store_true", help="more in the log (stderr)")
    options = parser.parse_args(arguments)
    _begin_log(verbose=options.verbose)
    try:
        loaded = load_analyzer(options.config)
        for warning in loaded.warnings:
            log.warning("%s", warning)
        from truechimer_analyzer.daemon import run
        from truechimer_analyzer.stores import StoreFailed

        try:
            return run(loaded.config)
        except StoreFailed as error:
            raise NothingThere(str(error), hint=error.hint) from error
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        sys.stderr.write(
            f"truechimer analyzer: {error.name} is not installed\n  pip install 'truechimer[analyzer]'\n"
        )
        return 2
    except TruechimerError as error:
        hint = f"\n  {error.hint}" if error.hint else ""
        sys.stderr.write(f"truechimer analyzer: {error}{hint}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def _begin_log(*, verbose: bool) -> None:
    """One line a change, to stderr, where the journal puts its own time."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(levelname)s %(name)s: %(message)s",
        force=True,
    )
    for noisy in ("apscheduler", "asyncio", "tzlocal"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
