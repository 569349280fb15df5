"""``python -m truechimer_agent run|once --config FILE``: the agent's own entry."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

from truechimer.config import load_agent
from truechimer.errors import TruechimerError
from truechimer_agent import logs

log = logging.getLogger("truechimer.agent")


def main(arguments: list[str] | None = None) -> int:
    """Run; the exit code (0 fine, 2 usage or configuration, 3 nothing there)."""
    parser = argparse.ArgumentParser(prog="truechimer agent")
    parser.add_argument("verb", choices=["run", "once"])
    parser.add_argument("--config", type=Path, help="agent.toml; the defaults without it")
    parser.add_argument("--json", action="store_true", help="kept for the command's sake: once prints JSON")
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args(arguments)
    logs.begin(verbose=options.verbose)
    try:
        loaded = load_agent(options.config)
        for warning in loaded.warnings:
            log.warning("%s", warning)
        if options.verb == "once":
            from truechimer_agent.once import look

            json.dump(look(loaded.config), sys.stdout, allow_nan=False)
            sys.stdout.write("\n")
            return 0
        from truechimer_agent.daemon import run

        return run(loaded.config)
    except TruechimerError as error:
        hint = f"\n  {error.hint}" if error.hint else ""
        sys.stderr.write(f"truechimer agent: {error}{hint}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
