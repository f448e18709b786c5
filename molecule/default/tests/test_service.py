"""End-to-end test of a host: a user signs in at the front door and a model answers. No test is skipped."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
PORTS = yaml.safe_load((ROOT / "contract" / "instance.yaml").read_text())["ports"]
CHAT = {
    "model": "gemma3:270m",
    "messages": [{"role": "user", "content": "The capital of France is"}],
    "stream": False,
    "options": {"temperature": 0, "seed": 1, "num_predict": 12},
}


def ask(host: Any, url: str, *options: str) -> Any:
    command = " ".join(
        ["curl", "--silent", "--show-error", "--fail-with-body", "--insecure", "--max-time", "60", *options, url]
    )
    done = host.run(command)
    assert done.rc == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def post(host: Any, url: str, body: dict[str, Any], *options: str) -> Any:
    return ask(host, url, "--header", "content-type:application/json", "--data", f"'{json.dumps(body)}'", *options)


def test_ollama_and_open_webui_run(host: Any) -> None:
    units = host.check_output("systemctl list-units --plain --no-legend --state=active 'ollama@*' 'open-webui@*'")
    assert re.search(r"^ollama@0\.service", units, re.M)
    assert re.search(rf"^open-webui@{PORTS['open_webui_first']}\.service", units, re.M)


def test_no_unit_has_failed(host: Any) -> None:
    assert host.check_output("systemctl list-units --failed --plain --no-legend") == ""


def test_model_answers_through_the_gateway(host: Any) -> None:
    answer = post(host, f"http://127.0.0.1:{PORTS['gateway']}/api/chat", CHAT)
    assert answer["done"] is True
    assert answer["eval_count"] > 0
    assert answer["message"]["content"].strip()


def test_first_administrator_signs_in_and_chats(host: Any) -> None:
    front = f"https://127.0.0.1:{PORTS['front_door']}"
    folder = ROOT / ".ollama-gpu" / "lab" / "data" / "ollama-gpu-molecule-data"
    password = (folder / "administrator").read_text().strip()
    token = post(host, f"{front}/api/v1/auths/signin", {"email": "admin@example.org", "password": password})["token"]
    answer = post(host, f"{front}/api/chat/completions", CHAT, "--header", f"'authorization: Bearer {token}'")
    assert answer["choices"][0]["message"]["content"].strip()


def test_sign_up_is_closed(host: Any) -> None:
    body = json.dumps({"name": "x", "email": "x@example.org", "password": "not-a-secret"})
    front = f"https://127.0.0.1:{PORTS['front_door']}/api/v1/auths/signup"
    asked = f"curl --silent --insecure --output /dev/null --write-out '%{{http_code}}' --json '{body}' {front}"
    assert host.check_output(asked) == "403"
