"""How long the steps of ENV=local took in the project's own measurement, for machines without records."""

from __future__ import annotations

MACHINE = "two cores, 24 GiB"
"""The machine of these figures. docs/measurements.md ("The first deploy of ENV=local") says how they were taken."""

MEASURED: dict[str, float] = {
    "account": 68,
    "image builder": 56,
    "Go": 11,
    "Ollama": 412,
    "models": 18,
    "Container Toolkit": 71,
    "image mirror": 31,
    "image python": 42,
    "Open WebUI": 171,
    "image front-door": 80,
    "image base": 134,
    "image data": 102,
    "image metadata": 37,
    "image build": 242,
    "image check": 2,
    "model set": 5,
    "plan and apply": 115,
    "instances": 109,
    "chat": 2,
}
"""Seconds of each step, by its name in the records (`ollama_gpu.local.usual`). A step that is missing counts as 0."""
