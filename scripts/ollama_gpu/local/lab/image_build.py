"""The role's variables with which a host of the lab builds Open WebUI's image itself, as hosts do in production.

They are not in the lab's variables file, because all of that file is part of an image's key, and a proxy of this shell
must not change the key.
"""

from __future__ import annotations

from pathlib import Path

from . import variables_file
from .host_settings import HostSettings


def write(base: str, host: HostSettings, file: Path) -> None:
    """Write the variables; ``base`` is the base image's address on the lab's network."""
    variables = {
        "open_webui_image": "",
        "open_webui_image_base": base,
        "open_webui_image_build_arguments": host.build_arguments(),
        "open_webui_image_build_certificates": host.authorities(),
    }
    variables_file.write_variables(variables, file, mode=0o600)  # an index's URL may contain a password
