"""Run `ansible-test sanity` on the collection as it ships: built, installed, and tested where it is installed.

    python -m tests.ansible_sanity

ansible-test creates its environments without pip, and then downloads get-pip.py from a separate site unless the file is
in its cache. This program puts a file there that does the same with the wheel of the required pip.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from ansible_test._internal.host_configs import NativePythonConfig
from ansible_test._internal.python_requirements import get_venv_packages

from ollama_gpu.core import collection
from ollama_gpu.core.paths import locate

TOOLS = Path(sys.executable).parent
CACHE = Path.home() / ".ansible" / "test" / "cache"

GET_PIP = """import runpy, sys
sys.path.insert(0, {wheel!r})
sys.argv[1:] = ["install", *(each for each in sys.argv[1:] if each not in ("--no-setuptools", "--no-wheel"))]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""


def main() -> int:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    provide_get_pip(python)
    # Outside the checkout: inside it, ansible-test asks git for the files, and git ignores what is built.
    with tempfile.TemporaryDirectory() as folder:
        archive = collection.build(locate().repository, Path(folder))
        install = ["collection", "install", "--offline", "--collections-path", folder, archive.path]
        # Run away from the checkout, whose ansible.cfg would make the collection appear installed already.
        settings = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": folder}
        subprocess.run([TOOLS / "ansible-galaxy", *install], cwd=folder, env=settings, check=True, capture_output=True)
        ran = subprocess.run(
            [TOOLS / "ansible-test", "sanity", "--local", "--python", python],
            cwd=Path(folder) / "ansible_collections" / "ollama" / "gpu",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    if ran.returncode != 0 or "All targets skipped" in ran.stdout:
        print(ran.stdout)
        return 1
    return 0


def provide_get_pip(python: str) -> None:
    version = get_venv_packages(NativePythonConfig(version=python, path=sys.executable))["pip"]
    script = CACHE / f"get_pip_{version.replace('.', '_')}.py"
    wheel = CACHE / f"pip-{version}-py3-none-any.whl"
    CACHE.mkdir(parents=True, exist_ok=True)
    if not wheel.exists():
        download = [
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--dest",
            str(CACHE),
            f"pip=={version}",
        ]
        subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", *download], check=True)
    if not script.exists():
        script.write_text(GET_PIP.format(wheel=str(wheel)))


if __name__ == "__main__":
    sys.exit(main())
