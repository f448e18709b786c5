"""What a host of the lab needs to make Open WebUI's image itself, as production's do, by the role's own variables.

A file beside the hand-over: an image's key has all of that one, and is not to change with a proxy of this shell.
"""

from __future__ import annotations

from pathlib import Path

from . import handover
from .host_settings import HostSettings


def write(base: str, host: HostSettings, file: Path) -> None:
    """Write the variables; ``base`` is the image to start from, as a container on the lab's network pulls it."""
    variables = {
        "open_webui_image": "",
        "open_webui_image_base": base,
        "open_webui_image_build_arguments": host.build_arguments(),
        "open_webui_image_build_certificates": host.authorities(),
    }
    handover.write_variables(variables, file, mode=0o600)  # an index's address may hold a password
