"""Run in an instance, as a leak of one of its units: takes memory there until the kernel has killed a process for it.

Arguments: the `cgroup.procs` of the unit, the process that is expected to go, and MiB to take at the most. Stands
alone, for it runs in the instance's own Python.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path


def main() -> None:
    group, victim, limit = Path(sys.argv[1]), Path("/proc", sys.argv[2]), int(sys.argv[3])
    group.write_text("0", encoding="ascii")  # 0 is who writes
    # What it takes first drives out the file of the model; later it may hold more than the model, and would go itself.
    (victim / "oom_score_adj").write_text("500", encoding="ascii")
    held = []
    while victim.exists() and len(held) < limit:
        held.append(bytearray(b"x") * (1 << 20))
        time.sleep(0.002)
    for _ in range(50):  # killed, but not yet gone: its memory is returned first
        if not victim.exists():
            break
        time.sleep(0.1)
    print(f"{len(held)} MiB", "" if victim.exists() else "killed")


main()
