"""The number of this machine's processors that each of the lab's instances uses for inference."""

from __future__ import annotations

import os

THREADS = max(1, (os.cpu_count() or 1) // 2)
"""The lab's two instances share the machine. The threads of one answer wait for each other by spinning: with more
threads than processors, an answer takes minutes (40 tokens took 94 s on two processors with four parallel streams)."""
PARAMETER = f"PARAMETER num_thread {THREADS}\n"
"""The line for a Modelfile."""
