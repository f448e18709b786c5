"""Read an environment's variables with Terraform: the values in the file and the defaults in variables.tf.

`terraform console` runs next to a copy of the declarations only, so it needs no provider, state, credentials or network
and takes half a second. Defaults are therefore not repeated in Python.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ollama_gpu.core import files
from ollama_gpu.core.errors import UserError
from ollama_gpu.terraform.installation import clean_environment, find_terraform, read_version

_SECONDS = 60
_DECLARED = re.compile(r'^variable "(\w+)"', re.MULTILINE)
_RULE = re.compile(r"^  validation \{\n.*?^  \}\n", re.MULTILINE | re.DOTALL)


def cached(declarations: Path, variables_file: Path, cache: Path) -> dict[str, Any]:
    """As `read` without the rules, and read again only after one of the two files changed.

    ``cache`` is the file that keeps the values. A command that only reads an environment must not fail because a rule
    was added after its last deploy; preflight and plan apply the rules.
    """
    parts = (file.read_bytes() for file in (declarations, variables_file))
    digest = hashlib.sha256(b"\0".join(parts)).hexdigest()
    values: dict[str, Any] = files.cached(cache, digest, lambda: read(declarations, variables_file, rules=False))
    return values


def declared(declarations: Path) -> list[str]:
    """The names of the variables that a file declares."""
    return _DECLARED.findall(declarations.read_text(encoding="utf-8"))


def read(declarations: Path, variables_file: Path, *, rules: bool = True) -> dict[str, Any]:
    """Every variable's value by name.

    Raises UserError with Terraform's message for a value of a wrong type and, with ``rules``, for one that a
    validation refuses.
    """
    text = declarations.read_text(encoding="utf-8")
    names = _DECLARED.findall(text)
    environment, _ignored = clean_environment(os.environ)
    with tempfile.TemporaryDirectory(prefix="ollama-gpu-values-") as folder:
        Path(folder, declarations.name).write_text(text if rules else _RULE.sub("", text), encoding="utf-8")
        expression = "jsonencode({" + ", ".join(f"{name} = var.{name}" for name in names) + "})\n"
        terraform = find_terraform()
        command = [str(terraform), "console", f"-var-file={variables_file.resolve()}"]
        ran = subprocess.run(
            command, input=expression, cwd=folder, env=environment, capture_output=True, text=True, timeout=_SECONDS
        )
    # For an invalid value, the console prints an error but still exits with status 0.
    plain = re.sub(r"\x1b\[[0-9;]*m", "", ran.stderr)
    invalid = re.search(r"Error: .*", plain, re.DOTALL)
    if ran.returncode != 0 or invalid:
        _refuse_an_old(terraform, environment)
        message = " ".join(line.strip(" │╷╵") for line in (invalid[0] if invalid else plain).splitlines()).strip()
        raise UserError(f"{variables_file.name}: {message}", f"Correct it in {variables_file}.", status=2)
    # The result is an HCL string. Template escapes are its only escapes that JSON does not have.
    try:
        text = ran.stdout.strip().splitlines()[-1].replace("$${", "${").replace("%%{", "%{")
        values: dict[str, Any] = json.loads(json.loads(text))
    except (LookupError, ValueError, TypeError) as error:
        _refuse_an_old(terraform, environment)
        raise UserError(
            f"`{terraform} console` did not print the values of {variables_file.name}.",
            "Check that this is Terraform itself: terraform version",
        ) from error
    return values


def _refuse_an_old(terraform: Path, environment: Mapping[str, str]) -> None:
    """Raise UserError if the failure is that of a Terraform that is too old for the declarations."""
    ran = subprocess.run([str(terraform), "version", "-json"], env=environment, capture_output=True, text=True)
    with suppress(ValueError, AttributeError):
        read_version(ran.stdout, terraform)
