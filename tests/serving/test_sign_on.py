"""Single sign-on with a real OpenID provider: the whole code flow at the front door, and refused users."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.serving import fleet, sign_on
from tests.serving.conftest import Serving
from tests.serving.fleet import WHOLE_SECONDS
from tests.serving.sign_on import Browser, Provider
from tests.serving.traffic import Session

PEOPLE = {
    "ada": {"email": "ada@example.org", "name": "Ada", "roles": ["chat-user"]},
    "grace": {"email": "grace@example.org", "name": "Grace", "roles": ["chat-admin"]},
    "eve": {"email": "eve@elsewhere.example", "name": "Eve", "roles": ["chat-user"]},
    "mallory": {"email": "mallory@example.org", "name": "Mallory", "roles": ["cleaning"]},
}
ROLES = {"allowed": ["chat-user"], "administrators": ["chat-admin"], "claim": "roles"}


@pytest.fixture(scope="module")
def provider(serving: Serving) -> Iterator[Provider]:
    """A provider with the people above, and a user with the first administrator's address."""
    thief = {"sub": "thief", "email": serving.administrator["email"], "roles": ["chat-admin"]}
    people = [{"sub": sub, **claims} for sub, claims in PEOPLE.items()]
    with sign_on.provider(serving.docker.gateway(serving.network), [*people, thief]) as made:
        yield made


@pytest.fixture(scope="module")
def client(serving: Serving, provider: Provider) -> tuple[str, str]:
    """The client's id and secret at the provider."""
    return provider.register(f"{serving.chat_address.url}/oauth/oidc/callback")


@pytest.fixture(scope="module")
def sign_on_enabled(
    serving: Serving, provider: Provider, client: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """One instance with the settings that the role renders for `sign_on`; created accounts are deleted at the end."""
    domains = ["example.org", serving.administrator["email"].split("@")[1]]
    settings: dict[str, Any] = {"client_id": client[0], "discovery_url": provider.discovery_url, "name": "Staff"}
    settings |= {"allowed_domains": domains, "roles": ROLES}
    rendered = sign_on.rendered(settings, serving.chat_address.url, tmp_path_factory.mktemp("sign-on"))
    fleet.until(lambda: fleet.whole(serving), "whole fleet", WHOLE_SECONDS)
    with sign_on.enabled(serving, serving.healthy()[0], rendered, client[1]):
        yield


@pytest.fixture
def browser(serving: Serving, sign_on_enabled: None) -> Browser:
    return Browser(serving)


@pytest.fixture(scope="module", autouse=True)
def accounts(serving: Serving, token: str, sign_on_enabled: None) -> Iterator[None]:
    yield
    session = Session(serving.chat_address, token)
    for person in PEOPLE.values():
        for identifier in made(session, str(person["email"])):
            session.ask("DELETE", f"/api/v1/users/{identifier}")


def made(session: Session, email: str) -> list[str]:
    """The ids of the accounts with an address."""
    status, found = session.ask("GET", f"/api/v1/users/?query={email}")
    assert status == 200, found
    return [user["id"] for user in found["users"] if user["email"] == email]


def test_the_sign_in_page_offers_the_provider_and_the_password(browser: Browser) -> None:
    config = browser.config()
    assert config["oauth"]["providers"] == {"oidc": "Staff"}
    assert config["features"]["enable_login_form"] is True
    assert config["features"]["enable_signup"] is False


def test_sign_on_redirects_to_the_provider_with_client_id_and_return_address(
    browser: Browser, provider: Provider, client: tuple[str, str]
) -> None:
    to = urlsplit(browser.get("/oauth/oidc/login").headers["Location"])
    request = {key: value[0] for key, value in parse_qs(to.query).items()}
    assert f"{to.scheme}://{to.netloc}" == provider.url
    assert request["client_id"] == client[0]
    assert request["redirect_uri"] == f"{browser.url}/oauth/oidc/callback"
    assert {"openid", "email"} <= set(request["scope"].split())
    assert request["state"]
    assert client[1] not in to.query


@pytest.mark.parametrize(("sub", "role"), [("ada", "user"), ("grace", "admin")])
def test_an_accepted_user_is_signed_in_with_the_providers_role(browser: Browser, sub: str, role: str) -> None:
    landed = browser.sign_on(sub)
    assert "error" not in landed
    assert landed.startswith(f"{browser.url}/auth")
    assert browser.signed_in
    shown = browser.get("/api/v1/auths/").json()
    assert (shown["email"], shown["role"]) == (PEOPLE[sub]["email"], role)


def test_a_returning_user_has_the_same_account(serving: Serving, token: str, sign_on_enabled: None) -> None:
    first, again = Browser(serving), Browser(serving)
    first.sign_on("ada")
    again.sign_on("ada")
    assert first.get("/api/v1/auths/").json()["id"] == again.get("/api/v1/auths/").json()["id"]
    assert len(made(Session(serving.chat_address, token), "ada@example.org")) == 1


@pytest.mark.parametrize(
    ("sub", "why"), [("eve", "identity+provider+failed"), ("mallory", "do+not+have+permission")], ids=["domain", "role"]
)
def test_users_of_another_domain_or_role_are_refused(
    serving: Serving, token: str, browser: Browser, sub: str, why: str
) -> None:
    landed = browser.sign_on(sub)
    assert "/auth?error=" in landed
    assert why in landed, landed
    assert not browser.signed_in
    assert browser.get("/api/v1/auths/").status_code == 401
    assert made(Session(serving.chat_address, token), str(PEOPLE[sub]["email"])) == []


def test_idp_user_with_admin_email_is_not_admin(browser: Browser) -> None:
    landed = browser.sign_on("thief")
    assert "/auth?error=" in landed
    assert "already+registered" in landed, landed
    assert not browser.signed_in


def test_a_forged_callback_signs_no_user_in(browser: Browser) -> None:
    browser.get("/oauth/oidc/login")
    landed = browser.get("/oauth/oidc/callback?code=made-up&state=made-up").headers["Location"]
    assert "/auth?error=" in landed
    assert not browser.signed_in


def test_the_provider_requires_the_clients_secret(provider: Provider, client: tuple[str, str]) -> None:
    """Without this check the sign-ons above would not prove that Open WebUI has the secret."""
    request = {"grant_type": "authorization_code", "code": "x", "redirect_uri": "x"}
    wrong = requests.post(f"{provider.url}/oauth2/token", data=request, auth=(client[0], "wrong"), timeout=20)
    right = requests.post(f"{provider.url}/oauth2/token", data=request, auth=client, timeout=20)
    assert wrong.json()["error"] == "invalid_client"
    assert right.json()["error"] == "invalid_grant"


def test_the_clients_secret_is_not_in_container_descriptions_or_process_lists(
    serving: Serving, client: tuple[str, str], sign_on_enabled: None
) -> None:
    descriptions = [
        serving.run(instance, "docker", "inspect", "open-webui-8081") + serving.run(instance, "ps", "-eo", "args")
        for instance in serving.healthy()
    ]
    assert any(client[0] in each for each in descriptions)
    assert not any(client[1] in each for each in descriptions)
