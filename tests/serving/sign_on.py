"""Single sign-on on the running lab: an OpenID provider next to it, and one instance whose Open WebUI uses it.

Instances get sign-on when they boot. Here, a running instance gets the files that the role would write, and its
original files are restored at the end.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.fabric.driver import COMMAND, ROOT
from tests.serving import fleet
from tests.serving.conftest import Serving
from tests.serving.fleet import ROTATION_SECONDS

ROLE = ROOT / "ansible_collections" / "ollama" / "gpu" / "roles" / "open_webui"
CONTAINER = "/etc/open-webui/container.json"
PROVIDER = "oidc_provider_mock"
_ATTEMPTS = 12


@dataclass(frozen=True)
class Provider:
    """An OpenID provider that accepts registered clients only; ``url`` is the same for users and instances."""

    url: str

    @property
    def discovery_url(self) -> str:
        return f"{self.url}/.well-known/openid-configuration"

    def register(self, redirect_address: str) -> tuple[str, str]:
        """Register a client and return its id and secret, as an administrator does at a provider."""
        request = {"redirect_uris": [redirect_address]}
        made = requests.post(f"{self.url}/oauth2/clients", json=request, timeout=20).json()
        return made["client_id"], made["client_secret"]


@contextmanager
def provider(address: str, people: Sequence[Mapping[str, Any]]) -> Iterator[Provider]:
    """Run a provider at an address of this machine that instances reach; ``people``: claims of each user."""
    with socket.create_server((address, 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", PROVIDER, "--host", address, "--port", str(port)]
    command += ["--require-registration", "true"]
    command += [part for claims in people for part in ("--user-claims", json.dumps(claims))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    made = Provider(f"http://{address}:{port}")
    try:
        deadline = time.monotonic() + 30
        while True:
            assert process.poll() is None, process.stderr and process.stderr.read()
            try:
                requests.get(made.discovery_url, timeout=5).raise_for_status()
                break
            except requests.ConnectionError:
                assert time.monotonic() < deadline, "the provider does not answer"
                time.sleep(0.2)
        yield made
    finally:
        process.terminate()
        process.communicate(timeout=20)


def rendered(sign_on: Mapping[str, Any], url: str, folder: Path) -> dict[str, str]:
    """The settings that the role adds for a sign-on, rendered with the role's own template and variables."""
    cases = {"with": dict(sign_on), "without": {}}
    template = str(ROLE / "templates" / "open-webui.env.j2")
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars_files": [str(ROLE / "defaults" / "main.yml"), str(ROLE / "vars" / "main.yml")],
        "vars": {
            "ansible_python_interpreter": sys.executable,
            "contract": yaml.safe_load((ROOT / "contract" / "instance.yaml").read_text()),
        },
        "tasks": [
            {
                "ansible.builtin.template": {"src": template, "dest": str(folder / name), "mode": "0600"},
                "vars": {"open_webui_sign_on": case, "open_webui_url": url},
            }
            for name, case in cases.items()
        ],
    }
    file = folder / "play.json"
    file.write_text(json.dumps([play]))
    command = [
        str(COMMAND.with_name("ansible-playbook")),
        "--connection",
        "local",
        "--inventory",
        "localhost,",
        str(file),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    settings = {name: parse((folder / name).read_text()) for name in cases}
    assert settings["without"].items() <= settings["with"].items(), "sign-on removes a setting"
    return {key: value for key, value in settings["with"].items() if key not in settings["without"]}


def parse(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if line)


@contextmanager
def enabled(serving: Serving, instance: str, settings: Mapping[str, str], client_secret: str) -> Iterator[None]:
    """Run an instance's Open WebUI with these additional settings until the end of the block."""
    files = json.loads(serving.run(instance, "cat", CONTAINER))
    added = {
        files["environment"]: "".join(f"{key}={value}\n" for key, value in settings.items()),
        files["secrets"]: f"OAUTH_CLIENT_SECRET={client_secret}\n",
    }
    kept = {name: serving.docker.output("exec", serving.container(instance), "cat", name) + "\n" for name in added}
    assert not settings.keys() & parse(kept[files["environment"]]).keys(), "this environment has sign-on already"
    with fleet.suspended(serving, "HealthCheck"):  # the instance is unhealthy while Open WebUI starts
        try:
            for name, text in added.items():
                write(serving, instance, name, kept[name] + text)
            restart(serving, instance)
            yield
        finally:
            for name, text in kept.items():
                write(serving, instance, name, text)
            restart(serving, instance)


def write(serving: Serving, instance: str, name: str, text: str) -> None:
    """Replace a file's content; its owner and mode stay, and the text appears in no process list."""
    serving.docker.output("exec", "-i", serving.container(instance), "sh", "-c", f"cat > {name}", text=text)


def restart(serving: Serving, instance: str) -> None:
    """Restart Open WebUI's processes, as the role's handler does, and wait until the load balancer sends users."""
    serving.run(instance, "systemctl", "restart", "open-webui@*")
    fleet.until(lambda: fleet.open_webui_is_ready(serving, instance), "Open WebUI", 150)
    fleet.until(lambda: fleet.healthz(serving, instance) == "200", "good health", 60)
    fleet.until(lambda: instance in serving.healthy(), f"{instance} in the rotation", ROTATION_SECONDS)


class Browser:
    """A user's browser without a screen, on the instance with the provider."""

    def __init__(self, serving: Serving) -> None:
        self.url = serving.chat_address.url
        for _ in range(_ATTEMPTS):
            self.session = requests.Session()
            self.session.trust_env = False
            self.session.verify = str(serving.chat_address.authority)
            if self.config().get("oauth", {}).get("providers"):
                return
        raise AssertionError("no instance offers single sign-on at the front door")

    def config(self) -> dict[str, Any]:
        """The configuration that the sign-in page uses."""
        found: dict[str, Any] = self.get("/api/config").json()
        return found

    def get(self, path: str) -> requests.Response:
        return self.session.get(self.url + path, timeout=30, allow_redirects=False)

    def sign_on(self, sub: str) -> str:
        """Choose single sign-on, identify as ``sub`` at the provider and return; gives the final address."""
        to_provider = self.get("/oauth/oidc/login")
        assert to_provider.status_code == 302, to_provider.text
        form = self.session.get(to_provider.headers["Location"], timeout=30)
        assert form.status_code == 200, form.text
        assert 'name="sub"' in form.text
        back = self.session.post(form.url, data={"sub": sub}, timeout=30, allow_redirects=False)
        assert back.status_code == 302, back.text
        assert back.headers["Location"].startswith(f"{self.url}/oauth/oidc/callback?"), back.headers["Location"]
        landed = self.session.get(back.headers["Location"], timeout=30, allow_redirects=False)
        assert landed.is_redirect, landed.text
        return landed.headers["Location"]

    @property
    def signed_in(self) -> bool:
        return "token" in self.session.cookies
