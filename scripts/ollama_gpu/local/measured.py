"""How long the steps of ENV=local took in the project's own measurement, for machines without records."""

from __future__ import annotations

MACHINE = "two cores, 24 GiB"
"""The machine of these figures. docs/measurements.md ("The first deploy of ENV=local") says how they were taken."""

MEASURED: dict[str, float] = {
    "account": 73,
    "image builder": 103,
    "Go": 17,
    "Ollama": 240,
    "models": 20,
    "Container Toolkit": 58,
    "image mirror": 47,
    "image python": 55,
    "Open WebUI": 120,
    "image front-door": 53,
    "image data": 71,
    "image metadata": 47,
    "image build": 190,
    "image check": 2,
    "model set": 9,
    "plan and apply": 160,
    "instances": 165,
    "chat": 2,
}
"""Seconds of each step, by its name in the records (`ollama_gpu.local.usual`). A step that is missing counts as 0."""
