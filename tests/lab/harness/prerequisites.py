"""What the lab and the browser tests need, and what of it this machine lacks."""

import importlib.util
import os
import platform
import shutil
from functools import cache

from lab.harness.network import Network
from lab.harness.processes import environment

# Program → Debian's package of it.
LAB_PROGRAMS = {
    "chronyc": "chrony",
    "chronyd": "chrony",
    "etcd": "etcd-server",
    "fsfreeze": "util-linux",
    "gcc": "gcc",
    "go": "golang-go",
    "ip": "iproute2",
    "javac": "openjdk-17-jdk-headless",
    "mkfs.ext4": "e2fsprogs",
    "mount": "mount",
    "nft": "nftables",
    "node": "nodejs",
    "nsenter": "util-linux",
    "prometheus-node-exporter": "prometheus-node-exporter",
    "promtool": "prometheus",
    "stress-ng": "stress-ng",
    "systemd-analyze": "systemd",
    "victoria-metrics": "victoria-metrics",
}
CHROMIUM = "/usr/bin/chromium"


def executable(program: str) -> str | None:
    """The program's path, looked for in the system folders too that are not on every user's PATH."""
    return shutil.which(program, path=environment()["PATH"])


@cache
def missing_for_lab() -> str | None:
    """Why tests marked `lab` cannot run here, or None when they can (asked once per process)."""
    if platform.system() != "Linux":
        return f"needs Linux's network namespaces; this is {platform.system()}"
    packages = sorted({package for program, package in LAB_PROGRAMS.items() if not executable(program)})
    if packages:
        return f"needs Debian's {', '.join(packages)} (sudo .ci/install-lab)"
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    try:
        with Network() as network:
            network.link(network.host("probe"), network.host("other"))
    except (RuntimeError, OSError) as error:
        return f"needs network namespaces, veth, bridges and TUN: {error}"
    return None


@cache
def missing_for_browser() -> str | None:
    """Why tests marked `browser` cannot run here, or None when they can."""
    if not os.access(CHROMIUM, os.X_OK):
        return f"needs Debian's chromium at {CHROMIUM} (sudo .ci/install-lab)"
    if importlib.util.find_spec("playwright") is None:
        return "needs the Python package playwright (make setup)"
    return None
