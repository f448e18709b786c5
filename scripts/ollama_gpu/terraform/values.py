"""An environment's variables as Terraform itself sees them: the file's values and every default of variables.tf.

`terraform console` says so in half a second, without provider, state, credentials or network, because it is run beside
a copy of the declarations alone. So no default is written a second time in Python.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ollama_gpu.errors import UserError
from ollama_gpu.terraform.installation import clean_environment, find_terraform

_SECONDS = 60
_DECLARED = re.compile(r'^variable "(\w+)"', re.MULTILINE)


def read(declarations: Path, variables_file: Path) -> dict[str, Any]:
    """Every variable's value by name. Raises UserError with Terraform's own words for a value that its rules refuse."""
    names = _DECLARED.findall(declarations.read_text(encoding="utf-8"))
    environment, _ignored = clean_environment(os.environ)
    with tempfile.TemporaryDirectory(prefix="ollama-gpu-values-") as folder:
        shutil.copy(declarations, folder)
        asked = "jsonencode({" + ", ".join(f"{name} = var.{name}" for name in names) + "})\n"
        command = [str(find_terraform()), "console", f"-var-file={variables_file.resolve()}"]
        ran = subprocess.run(
            command, input=asked, cwd=folder, env=environment, capture_output=True, text=True, timeout=_SECONDS
        )
    # A refused value is only said, and the console answers all the same with status 0.
    plain = re.sub(r"\x1b\[[0-9;]*m", "", ran.stderr)
    refused = re.search(r"Error: .*", plain, re.DOTALL)
    if ran.returncode != 0 or refused:
        said = " ".join(line.strip(" │╷╵") for line in (refused[0] if refused else plain).splitlines()).strip()
        raise UserError(f"{variables_file.name}: {said}", f"Correct it in {variables_file}.", status=2)
    # The answer is a string of HCL, whose only escape that JSON lacks is that of a template.
    text = ran.stdout.strip().splitlines()[-1].replace("$${", "${").replace("%%{", "%{")
    values: dict[str, Any] = json.loads(json.loads(text))
    return values
