"""Does nothing until SIGTERM; FAKE_AGENT=die ends at once. Notes whether the analyzer was still there."""

import os
import signal
import sys
import tomllib
from pathlib import Path

config = tomllib.loads(Path(sys.argv[sys.argv.index("--config") + 1]).read_text())
state = Path(config["state_dir"])


def end(number, frame):
    analyzer_ended = (state.parent / "analyzer" / "ended").exists()
    (state / "ended").write_text("after the analyzer" if analyzer_ended else "before the analyzer")
    os._exit(0)


signal.signal(signal.SIGTERM, end)
(state / "journal").write_text(str(os.getpid()))
if os.environ.get("FAKE_AGENT") == "die":
    sys.stderr.write("INFO starting\nERROR the fake agent has had enough\n")
    sys.exit(7)
while True:
    signal.pause()
