"""The entry points of the shared role: the programs' module, and downloads that are complete or absent."""

from __future__ import annotations

from testinfra.host import Host

MODULE = "/usr/local/lib/ollama-gpu/ollama_gpu_host.py"
DOWNLOADS = "/var/cache/ollama-gpu"


def test_only_root_can_change_the_module(host: Host) -> None:
    module = host.file(MODULE)
    assert (module.user, module.group, module.mode) == ("root", "root", 0o644)


def test_host_python_imports_the_module(host: Host) -> None:
    program = "import sys; sys.path.insert(0, '/usr/local/lib/ollama-gpu'); import ollama_gpu_host"
    assert host.run(f'/usr/bin/python3 -I -c "{program}"').rc == 0


def test_only_root_can_change_a_download(host: Host) -> None:
    for path, mode in ((DOWNLOADS, 0o755), (f"{DOWNLOADS}/key.asc", 0o644)):
        found = host.file(path)
        assert (found.user, found.group, found.mode) == ("root", "root", mode), path
