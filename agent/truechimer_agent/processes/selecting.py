"""Which processes a ``[[process]]`` section means: pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from truechimer.config.model import ProcessConfig

SYSTEMD = ("", "name=systemd")
"""The hierarchies in which systemd keeps its units: unified, and its own under cgroup v1."""
CGROUP_ROOT = "/sys/fs/cgroup"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a process is chosen by: its cgroups (controllers → path), its comm and its arguments."""

    cgroups: Mapping[str, str]
    comm: str = ""
    arguments: tuple[str, ...] = ()


def selector_of(config: ProcessConfig) -> Callable[[Facts], bool] | None:
    """How a process is told by its facts; None for a pid file, which names it itself."""
    if config.unit is not None:
        return _by_unit(config.unit)
    if config.cgroup is not None:
        return _by_cgroup(config.cgroup)
    if config.command is not None:
        return _by_command(config.command)
    return None


def _by_unit(unit: str) -> Callable[[Facts], bool]:
    name = unit if "." in unit else f"{unit}.service"

    def is_in(facts: Facts) -> bool:
        return any(
            name in path.split("/") for controllers, path in facts.cgroups.items() if controllers in SYSTEMD
        )

    return is_in


def _by_cgroup(cgroup: str) -> Callable[[Facts], bool]:
    """In this cgroup of any hierarchy, or below; as /proc/PID/cgroup writes it, or below /sys/fs/cgroup."""
    path = "/" + cgroup.removeprefix(CGROUP_ROOT).strip("/")

    def is_in(facts: Facts) -> bool:
        # Below /sys/fs/cgroup a path begins with the folder of its hierarchy.
        return any(
            _is_below(own, path) or _is_below(f"/{controllers.removeprefix('name=') or 'unified'}{own}", path)
            for controllers, own in facts.cgroups.items()
        )

    return is_in


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(top.rstrip("/") + "/")


def _by_command(pattern: str) -> Callable[[Facts], bool]:
    """The expression must match all of comm, of the program's file name, or of the command line."""
    expression = re.compile(pattern)

    def is_it(facts: Facts) -> bool:
        program = facts.arguments[0].rpartition("/")[2] if facts.arguments else ""
        return any(
            text and expression.fullmatch(text) for text in (facts.comm, program, " ".join(facts.arguments))
        )

    return is_it


PID_FILE_SLACK_NS = 10_000_000_000


def is_stale(process_age_ns: int, file_age_ns: int, uptime_ns: int) -> bool:
    """Whether a pid file was written before the process began that has its pid now.

    A file that seems older than the boot tells nothing: the wall clock was set since.
    """
    return file_age_ns <= uptime_ns and process_age_ns + PID_FILE_SLACK_NS < file_age_ns
