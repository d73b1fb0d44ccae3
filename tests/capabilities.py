"""What a machine may or may not offer to tests: each capability is probed when first asked for, and once."""

import os
import shutil
import subprocess
from enum import Enum
from functools import cache


class Capability(Enum):
    """Something that a test may need; the value is its word in markers and in expected_skips.toml."""

    BASH = "bash"
    CGROUP = "cgroup"
    CHROMIUM = "chromium"
    DOCKER = "docker"
    FAKETIME = "faketime"
    FUSE = "fuse"
    GIT = "git"
    KUBECTL = "kubectl"
    LOOP = "loop"
    MODES = "modes"
    NETNS = "netns"
    OPENSSL = "openssl"
    PRIVILEGED = "privileged"
    PROMETHEUS = "prometheus"
    RSYNC = "rsync"
    STRACE = "strace"
    UNISON = "unison"

    @property
    def missing(self) -> str:
        """Why a test is skipped where this is lacking, and what to do about it."""
        return _MISSING[self]


_MISSING = {
    Capability.BASH: "needs bash (a package of that name)",
    Capability.CGROUP: "needs root that may limit memory in /sys/fs/cgroup/memory",
    Capability.CHROMIUM: "needs chromium and bash (packages of these names), and a font",
    Capability.DOCKER: "needs a running Docker engine with the compose plugin",
    Capability.FAKETIME: "needs faketime (a package of that name)",
    Capability.FUSE: "needs root, /dev/fuse, and libfuse (package fuse3)",
    Capability.GIT: "needs git, and a clone of the repository",
    Capability.KUBECTL: "needs kubectl with kustomize 5 in it",
    Capability.LOOP: "needs root, a free loop device, and mkfs for ext4 and XFS (packages e2fsprogs, xfsprogs)",
    Capability.MODES: "needs permission bits that count: not root, or root that can give up capabilities (setpriv)",
    Capability.NETNS: "needs root that may make networks, ip, and iptables (packages iproute2, iptables)",
    Capability.OPENSSL: "needs openssl (a package of that name)",
    Capability.PRIVILEGED: "needs root that may mount, make namespaces, and give up capabilities",
    Capability.PROMETHEUS: "needs promtool (from a package named prometheus)",
    Capability.RSYNC: "needs rsync (a package of that name)",
    Capability.STRACE: "needs strace (a package of that name) and leave to trace",
    Capability.UNISON: "needs unison (a package of that name)",
}

_PROBES = {
    Capability.BASH: ("bash", "-c", "complete -p >/dev/null; compgen -A file >/dev/null"),
    Capability.CGROUP: ("sh", "-c", "at=/sys/fs/cgroup/memory/dirsync-probe && mkdir $at && rmdir $at"),
    Capability.CHROMIUM: ("bash", "-c", "chromium --version"),
    Capability.DOCKER: ("docker", "compose", "ls"),
    Capability.FAKETIME: ("faketime", "-f", "-1d", "true"),
    Capability.FUSE: ("sh", "-c", "test -c /dev/fuse && command -v fusermount3"),
    Capability.GIT: ("git", "-C", os.path.dirname(__file__), "rev-parse"),
    Capability.KUBECTL: ("kubectl", "kustomize", "--help"),
    Capability.LOOP: ("sh", "-c", "command -v mkfs.ext4 && command -v mkfs.xfs && losetup --find"),
    Capability.MODES: ("sh", "-c", "test $(id -u) != 0 || setpriv --bounding-set -dac_override,-dac_read_search true"),
    Capability.NETNS: (
        *("unshare", "--net", "sh", "-c"),
        "ip link set lo up && iptables -A INPUT -p tcp -m statistic --mode random --probability 0.3 -j DROP",
    ),
    Capability.OPENSSL: ("openssl", "version"),
    Capability.PRIVILEGED: (
        *("unshare", "--mount", "--net", "sh", "-c"),
        "mount -t tmpfs dirsync-probe /mnt && umount /mnt && setpriv --bounding-set -dac_override true",
    ),
    Capability.PROMETHEUS: ("promtool", "--version"),
    Capability.RSYNC: ("rsync", "--version"),
    Capability.STRACE: ("strace", "-o", os.devnull, "true"),
    Capability.UNISON: ("unison", "-version"),
}

_FOR_ROOT = {Capability.CGROUP, Capability.FUSE, Capability.LOOP, Capability.NETNS, Capability.PRIVILEGED}


@cache
def has(capability: Capability) -> bool:
    """Whether this machine has it."""
    if capability in _FOR_ROOT and os.geteuid() != 0:
        return False
    command = _PROBES[capability]
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0
