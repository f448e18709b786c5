"""Open WebUI's settings for single sign-on, from the role's template, variables and checks, run by Ansible."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ollama_gpu.core.paths import locate
from tests.unit.collection import programs

ROOT = locate().repository
ROLE = programs.ROLES / "open_webui"
ANSIBLE = ROOT / ".venv" / "bin" / "ansible-playbook"
DISCOVERY = "https://login.example.org/realms/staff/.well-known/openid-configuration"
URL = "https://chat.example.org"
SIGN_ON = {"client_id": "chat", "discovery_url": DISCOVERY}
SECRETS = {
    "open_webui_secret_key": "k",
    "open_webui_database_url": "postgresql://u:p@h/d",
    "open_webui_redis_url": "redis://h",
}

pytestmark = pytest.mark.skipif(
    not ANSIBLE.exists(), reason="needs ansible-playbook, which renders the role's templates"
)


def settings(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text().splitlines() if line)


ROLES = {"administrators": ["chat-admin"], "allowed": ["chat-user"], "claim": "groups"}
RENDERED: dict[str, Any] = {
    "none": {},
    "least": SIGN_ON | {"roles": None, "allowed_domains": []},  # as Terraform passes it
    "most": SIGN_ON
    | {"name": "Staff", "allowed_domains": ["example.org", "example.com"], "make_accounts": False}
    | {"default_role": "user", "password_sign_in": False, "roles": ROLES, "scopes": "openid email groups"},
}
CHECKED: dict[str, tuple[dict[str, Any], bool]] = {
    "a bake, which has no secrets": ({}, True),
    "all of them": ({**SECRETS, "open_webui_sign_on_secret": "s"}, True),
    "no client secret": (SECRETS, False),
    "no TLS": ({**SECRETS, "open_webui_sign_on_secret": "s", "open_webui_url": "http://chat.example.org"}, False),
    "a secret among the settings": ({"open_webui_environment": {"OAUTH_CLIENT_SECRET": "s"}}, False),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of one Ansible run: settings and secrets by case, and preflight's error for each rejected case."""
    made = tmp_path_factory.mktemp("sign-on")
    [write] = [task for task in _tasks("secrets") if task["name"] == "Write the secrets of the processes"]
    assert write["no_log"] is True
    content = write["ansible.builtin.copy"]["content"]
    tasks: list[dict[str, Any]] = [
        {
            "ansible.builtin.template": {
                "src": str(ROLE / "templates" / "open-webui.env.j2"),
                "dest": str(made / name),
            },
            "vars": {"open_webui_sign_on": case, "open_webui_url": URL},
        }
        for name, case in RENDERED.items()
    ]
    tasks += [
        {
            "ansible.builtin.copy": {"dest": str(made / f"secrets-{secret}"), "content": content, "mode": "0400"},
            "vars": {**SECRETS, "open_webui_sign_on_secret": secret},
        }
        for secret in ("", "hidden")
    ]
    tasks += [
        {
            "block": [{"ansible.builtin.include_tasks": str(ROLE / "tasks" / "preflight.yml")}],
            "rescue": [
                {
                    "ansible.builtin.copy": {
                        "dest": str(made / f"refused: {name}"),
                        "content": "{{ ansible_failed_result.msg }}",
                        "mode": "0600",
                    }
                }
            ],
            "vars": {"open_webui_url": URL, "open_webui_sign_on": SIGN_ON, **variables},
        }
        for name, (variables, _) in CHECKED.items()
    ]
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars_files": [str(ROLE / "defaults" / "main.yml"), str(ROLE / "vars" / "main.yml")],
        "vars": {
            "ansible_python_interpreter": sys.executable,
            "contract": yaml.safe_load((ROOT / "contract" / "instance.yaml").read_text()),
            "role_path": str(ROLE),
            "ansible_facts": {"processor_vcpus": 4, "memtotal_mb": 16000},
        },
        "tasks": tasks,
    }
    file = made / "play.yml"
    file.write_text(json.dumps([play]))
    command = [str(ANSIBLE), "--connection", "local", "--inventory", "localhost,", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return made


def _tasks(name: str) -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = yaml.safe_load((ROLE / "tasks" / f"{name}.yml").read_text())
    return tasks


@pytest.fixture(scope="module")
def rendered(folder: Path) -> dict[str, dict[str, str]]:
    """The settings by the name of each case."""
    return {name: settings(folder / name) for name in RENDERED}


def test_without_sign_on_there_are_no_settings_for_it(rendered: dict[str, dict[str, str]]) -> None:
    assert [key for key in rendered["none"] if key.startswith(("OAUTH_", "OPENID_", "ENABLE_OAUTH"))] == []
    assert rendered["none"]["ENABLE_SIGNUP"] == "false"


def test_minimal_sign_on_keeps_passwords_and_pending_accounts(
    rendered: dict[str, dict[str, str]],
) -> None:
    least = rendered["least"]
    assert (least["OAUTH_CLIENT_ID"], least["OPENID_PROVIDER_URL"]) == ("chat", DISCOVERY)
    assert least["OPENID_REDIRECT_URI"] == "https://chat.example.org/oauth/oidc/callback"
    assert least["DEFAULT_USER_ROLE"] == "pending"
    assert least["ENABLE_LOGIN_FORM"] == least["ENABLE_PASSWORD_AUTH"] == least["ENABLE_OAUTH_SIGNUP"] == "true"
    assert least["ENABLE_OAUTH_ROLE_MANAGEMENT"] == least["ENABLE_SIGNUP"] == "false"
    assert not {"OAUTH_ADMIN_ROLES", "OAUTH_ALLOWED_ROLES", "OAUTH_ALLOWED_DOMAINS", "OAUTH_SCOPES"} & least.keys()


@pytest.mark.parametrize("case", ["least", "most"])
def test_an_account_is_never_merged_with_one_of_the_same_address(
    rendered: dict[str, dict[str, str]], case: str
) -> None:
    assert rendered[case]["OAUTH_MERGE_ACCOUNTS_BY_EMAIL"] == "false"


def test_the_clients_secret_is_in_no_settings_file(rendered: dict[str, dict[str, str]]) -> None:
    assert all("OAUTH_CLIENT_SECRET" not in case for case in rendered.values())


def test_every_sign_on_option_is_rendered(rendered: dict[str, dict[str, str]]) -> None:
    most = rendered["most"]
    assert most["OAUTH_PROVIDER_NAME"] == "Staff"
    assert most["OAUTH_ALLOWED_DOMAINS"] == "example.org,example.com"
    assert most["ENABLE_OAUTH_ROLE_MANAGEMENT"] == "true"
    assert (most["OAUTH_ROLES_CLAIM"], most["OAUTH_ADMIN_ROLES"]) == ("groups", "chat-admin")
    assert most["OAUTH_ALLOWED_ROLES"] == "chat-user,chat-admin"
    assert most["ENABLE_LOGIN_FORM"] == most["ENABLE_PASSWORD_AUTH"] == most["ENABLE_OAUTH_SIGNUP"] == "false"
    assert (most["DEFAULT_USER_ROLE"], most["OAUTH_SCOPES"]) == ("user", "openid email groups")


@pytest.mark.parametrize("case", CHECKED)
def test_invalid_sign_on_is_rejected(folder: Path, case: str) -> None:
    refusal = folder / f"refused: {case}"
    assert refusal.exists() != CHECKED[case][1]
    assert CHECKED[case][1] or "ollama-gpu sign-on" in refusal.read_text()


@pytest.mark.parametrize("secret", ["", "hidden"])
def test_client_secret_is_written_to_the_secrets_file_if_set(folder: Path, secret: str) -> None:
    written = settings(folder / f"secrets-{secret}")
    expected = {"WEBUI_SECRET_KEY", "DATABASE_URL", "REDIS_URL"} | ({"OAUTH_CLIENT_SECRET"} if secret else set())
    assert set(written) == expected
    assert written.get("OAUTH_CLIENT_SECRET", "") == secret
