"""Runs inside an instance as a leak of one of its units: allocate memory until the kernel kills a process for it.

Arguments: the `cgroup.procs` of the unit, the process that should be killed, and the maximum MiB to allocate.
Self-contained, because it runs with the instance's own Python.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path


def main() -> None:
    group, victim, limit = Path(sys.argv[1]), Path("/proc", sys.argv[2]), int(sys.argv[3])
    group.write_text("0", encoding="ascii")  # 0 means the writing process
    # The first allocations evict the model's file cache; later this process may use more than the model's process,
    # and the kernel would kill it instead.
    (victim / "oom_score_adj").write_text("500", encoding="ascii")
    held = []
    while victim.exists() and len(held) < limit:
        held.append(bytearray(b"x") * (1 << 20))
        time.sleep(0.002)
    for _ in range(50):  # killed, but not yet gone: the kernel first frees its memory
        if not victim.exists():
            break
        time.sleep(0.1)
    print(f"{len(held)} MiB", "" if victim.exists() else "killed")


main()
