"""``python -m chaos.power --kernel FOLDER``: the power of a whole machine goes in the middle of
submits.

The machine is virtual (QEMU without help of the hardware, so a slow one): its kernel is the
unpacked Debian package in FOLDER, its programs are those of this machine, read only, and it has its
own disk. When its power goes, whatever its kernel had not yet written to that disk is lost,
as it is not when a process is killed. Then it starts again, and is asked for every id that was
acknowledged: all are to be known with ``always``, all but those of the last second with
``everysec``. With ``no`` some are to be lost: else nothing was tried. What a disk keeps in its own
memory counts as written.

Needs QEMU, mkfs.ext4 and a static busybox (``apt-get install qemu-system-x86 e2fsprogs
busybox-static``), and a kernel: ``apt-get download`` what the package ``linux-image-amd64`` depends
on, and ``dpkg-deb -x`` it.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from chaos.parts import ROOT

POLICIES = ("always", "everysec", "no")
#: How long ids are acknowledged before the power goes.
LEAST_SECONDS, MAX_SECONDS = 4.0, 9.0
ALLOWED_SECONDS = {"always": 0.0, "everysec": 2.0}
"""What may be lost: the second between two writes, and what a write takes here; valkey.conf speaks
of two.
"""
START_SECONDS = 600.0
DISK_BYTES = 256 << 20
LIST_BYTES = 1 << 20
MEMORY_MB = 1024
#: Each after what it needs.
MODULES = (
    *(
        "virtio_ring",
        "virtio",
        "virtio_pci_legacy_dev",
        "virtio_pci_modern_dev",
        "virtio_pci",
        "virtio_blk",
    ),
    *("crc16", "crc32c_generic", "libcrc32c", "mbcache", "jbd2", "ext4"),
    *("netfs", "fscache", "9pnet", "9pnet_virtio", "9p"),
)
INIT = """#!/bin/busybox sh
B=/bin/busybox
$B mkdir -p /proc /sys /dev /r
$B mount -t proc proc /proc
$B mount -t devtmpfs dev /dev
for M in {modules}; do $B insmod /lib/$M.ko; done
$B mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 root /r
$B mount -t proc proc /r/proc
$B mount -t devtmpfs dev /r/dev
for F in tmp run; do $B mount -t tmpfs $F /r/$F; done
$B mount -t ext4 /dev/vda /r/mnt
$B ip link set lo up
export PATH=/usr/bin:/bin HOME=/tmp PYTHONDONTWRITEBYTECODE=1
$B chroot /r {python} -c 'import os, runpy, sys
os.chdir("{root}")
sys.path.insert(0, "{root}")
sys.argv = ["power_guest", "{policy}"]
runpy.run_module("chaos.power_guest", run_name="__main__")'
$B chroot /r cat /tmp/log.txt
echo @ended
$B poweroff -f
"""


@dataclass
class Found:
    """What the machine with one policy did."""

    policy: str
    #: When each id was heard to be acknowledged, and when the power went after that.
    acknowledged: dict[str, float] = field(default_factory=dict[str, float])
    cut_at: dict[str, float] = field(default_factory=dict[str, float])
    lost: set[str] = field(default_factory=set[str])
    cuts: int = 0
    problems: list[str] = field(default_factory=list[str])

    @property
    def oldest_lost_seconds(self) -> float:
        """How long before its power went the oldest id that was lost had been acknowledged."""
        return max((self.cut_at[one] - self.acknowledged[one] for one in self.lost), default=0.0)

    @property
    def is_as_promised(self) -> bool:
        return not self.problems and self.oldest_lost_seconds <= ALLOWED_SECONDS.get(
            self.policy, 1e9
        )


class Machine:
    """One virtual machine, and the disk that outlives it."""

    def __init__(self, folder: Path, kernel: Path, policy: str) -> None:
        self._kernel = only(kernel, "boot/vmlinuz-*")
        self._disk, self._list, self._first = (
            folder / "disk",
            folder / "list",
            folder / "first.cpio",
        )
        self.log = folder / "console.txt"
        with self._disk.open("wb") as disk:
            disk.truncate(DISK_BYTES)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(self._disk)], check=True)
        pack(folder / "first", kernel, policy, self._first)

    def write_list(self, acknowledged: Iterable[str]) -> None:
        """Tell the machine what was acknowledged before."""
        self._list.write_bytes("\n".join(acknowledged).encode().ljust(LIST_BYTES, b"\0"))

    @asynccontextmanager
    async def powered(self) -> AsyncGenerator[AsyncGenerator[list[str]]]:
        """Its findings, word by word, while it has power; it is cut at the end."""
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *self._command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
            )
        try:
            yield self._findings(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def _findings(self, process: asyncio.subprocess.Process) -> AsyncGenerator[list[str]]:
        assert process.stdout is not None
        with self.log.open("ab") as log:
            async for line in process.stdout:
                log.write(line)
                log.flush()
                if line.startswith(b"@"):
                    yield line[1:].decode().split()

    def _command(self) -> list[str]:
        return [
            "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", str(MEMORY_MB),
            "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot",
            "-nic", "none",
            "-kernel", str(self._kernel), "-initrd", str(self._first),
            "-append", "console=ttyS0 quiet panic=-1 rdinit=/init",
            "-drive", f"file={self._disk},format=raw,if=virtio,cache=none",
            "-drive", f"file={self._list},format=raw,if=virtio,readonly=on",
            "-virtfs",
            "local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap",
        ]  # fmt: skip


def only(folder: Path, pattern: str) -> Path:
    """The file of that name below a folder. Raises SystemExit if it does not exist."""
    for path in sorted(folder.rglob(pattern)):
        return path
    raise SystemExit(f"There is no {pattern} in {folder}: is it an unpacked kernel package?")


def pack(first: Path, kernel: Path, policy: str, target: Path) -> None:
    """Write the small system that mounts everything and starts Python."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise SystemExit("There is no busybox here: apt-get install busybox-static")
    (first / "bin").mkdir(parents=True)
    (first / "lib").mkdir()
    shutil.copy(busybox, first / "bin")
    for name in MODULES:
        shutil.copy(only(kernel, f"{name}.ko"), first / "lib")
    start = first / "init"
    start.write_text(
        INIT.format(modules=" ".join(MODULES), python=sys.executable, root=ROOT, policy=policy)
    )
    start.chmod(0o755)
    names = "\n".join(str(path.relative_to(first)) for path in sorted(first.rglob("*")))
    with target.open("wb") as file:
        subprocess.run(
            [busybox, "cpio", "-o", "-H", "newc"],
            cwd=first,
            input=names.encode(),
            stdout=file,
            stderr=subprocess.DEVNULL,
            check=True,
        )


async def boot(machine: Machine, found: Found, seconds: float) -> None:
    """Start the machine, hear what it kept, let it acknowledge jobs that long, and take its power
    away.
    """
    unheard = set(found.acknowledged) - found.lost
    machine.write_list(unheard)
    fresh: list[str] = []
    ends = math.inf
    async with asyncio.timeout(START_SECONDS), machine.powered() as findings:
        async for word, *about in findings:
            now = time.monotonic()
            if word == "ack":
                found.acknowledged[about[0]] = now
                fresh.append(about[0])
            elif word == "checked":
                ends = now + seconds
            elif word in ("kept", "lost"):
                unheard.discard(about[0])
                found.lost |= {about[0]} if word == "lost" else set()
            else:
                found.problems.append(f"the server ended by itself: see {machine.log}")
            if now > ends or found.problems:
                break
    cut_at = time.monotonic()
    found.cut_at.update(dict.fromkeys(fresh, cut_at))
    found.cuts += 1
    if unheard:
        found.problems.append(f"{len(unheard)} jobs were not asked for")


async def try_policy(folder: Path, kernel: Path, policy: str, times: int, seed: int) -> Found:
    """Cut the power that many times, and look once more."""
    found = Found(policy)
    folder.mkdir()
    machine = Machine(folder, kernel, policy)
    chance = random.Random(seed)
    for number in range(times + 1):
        await boot(
            machine, found, chance.uniform(LEAST_SECONDS, MAX_SECONDS) if number < times else 0.0
        )
        if found.problems:
            break
    return found


def tell(all_found: list[Found]) -> bool:
    """Print what was found; whether it is as it should be."""
    print(
        f"  {'appendfsync':12} {'cuts':>6} {'acknowledged':>14} {'lost':>6} "
        f"{'oldest, s before the cut':>26}"
    )
    for found in all_found:
        counts = f"{found.cuts - 1:>6} {len(found.acknowledged):>14} {len(found.lost):>6}"
        print(f"  {found.policy:12} {counts} {found.oldest_lost_seconds:>26.2f}")
    for found in all_found:
        for problem in found.problems:
            print(f"PROBLEM: {found.policy}: {problem}")
    kept = all(found.is_as_promised for found in all_found)
    tried = any(found.lost for found in all_found)
    if kept and not tried:
        print("nothing was lost with any policy: the power never went in time")
    print("what was promised was kept" if kept and tried else "FAILED")
    return kept and tried


def main() -> int:
    """Run by the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m chaos.power", description=__doc__)
    parser.add_argument(
        "--kernel", type=Path, required=True, help="folder with an unpacked linux-image package"
    )
    parser.add_argument(
        "--times", type=int, default=3, help="how often the power goes with each policy (3)"
    )
    parser.add_argument("--policies", nargs="+", choices=POLICIES, default=POLICIES)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    if any(ROOT.is_relative_to(hidden) for hidden in ("/tmp", "/run")):
        parser.error(
            "this clone lies below /tmp or /run, which are the machine's own: run it from elsewhere"
        )
    found: list[Found] = []
    folder = Path(tempfile.mkdtemp(prefix="power-"))
    for policy in options.policies:
        run = try_policy(folder / policy, options.kernel, policy, options.times, options.seed)
        found.append(asyncio.run(run))
    good = tell(found)
    if good:
        shutil.rmtree(folder)
    return not good


if __name__ == "__main__":
    sys.exit(main())
