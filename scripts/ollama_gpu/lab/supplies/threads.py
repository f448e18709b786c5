"""How many of this machine's processors one of the lab's instances computes with."""

from __future__ import annotations

import os

THREADS = max(1, (os.cpu_count() or 1) // 2)
"""The lab's two instances share the machine. Threads of one answer wait for each other by spinning: with more of them
than processors, an answer of seconds takes minutes (40 tokens took 94 s on two processors, four streams at a time)."""
PARAMETER = f"PARAMETER num_thread {THREADS}\n"
"""What says so in a Modelfile."""
