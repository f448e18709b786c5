"""The front door's configuration follows the load balancer's listeners, rules and target groups."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ollama_gpu.core.errors import UserError
from ollama_gpu.local.lab import authority
from ollama_gpu.local.lab.front_door import Ports, configuration, ports, tls
from ollama_gpu.local.lab.front_door.conditions import pattern, quoted
from ollama_gpu.local.lab.front_door.slots import Slot
from ollama_gpu.local.lab.front_door.view import Condition, FixedResponse, Forward, Redirect

from .front_door_views import BATCH, front_door, rule, target_group

BACKEND = "lab-interactive.0011"


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


def test_configuration_covers_the_edge_module() -> None:
    text = lines(configuration.render(front_door(target_group()), Ports(), {}))
    for expected in (
        'http-request redirect location "https://%[var(txn.host)]:8443%[pathq]" code 301 if { var(txn.rule) -m int 0 }',
        "timeout client 360s",
        "timeout server 360s",
        "balance leastconn",
        "default-server check inter 15s fall 3 rise 2 ssl verify none",
        "timeout check 5s",
        "http-check expect status 200",
        "http-after-response set-header Strict-Transport-Security 'max-age=31536000'",
        "retries 0 # a request goes to one target, once",
        "server slot1 127.0.0.1:1 disabled",
    ):
        assert expected in text
    assert any("maxidle 86400" in line and line.startswith("cookie AWSALB insert") for line in text)
    assert not any("redispatch" in line for line in text)


def test_draining_target_keeps_its_slot_without_an_address() -> None:
    slots = {BACKEND: {1: Slot("i-1", "10.0.0.1", 8443), 2: Slot("i-2", "10.0.0.2", 8443, draining_since=1.0)}}
    text = lines(configuration.render(front_door(target_group()), Ports(), slots))
    assert "server slot1 10.0.0.1:8443" in text
    assert "server slot2 127.0.0.1:1 disabled" in text


def test_redirect_omits_the_standard_port() -> None:
    text = configuration.render(front_door(target_group()), Ports(https=443), {})
    assert '"https://%[var(txn.host)]%[pathq]"' in text


def test_rule_forwards_to_its_target_group() -> None:
    batch = rule(Forward(BATCH), Condition("host-header", ("batch.example.org",)), priority=9)
    text = lines(configuration.render(front_door(target_group(), target_group(BATCH), rules=(batch,)), Ports(), {}))
    assert "use_backend lab-batch.0022 if { var(txn.rule) -m int 1 }" in text
    assert f"use_backend {BACKEND} if {{ var(txn.rule) -m int 2 }}" in text


@pytest.mark.parametrize("field", ["http-request-method", "query-string", "source-ip"])
def test_condition_that_the_fabric_does_not_use_is_refused(field: str) -> None:
    view = front_door(target_group(), rules=(rule(FixedResponse(404, "text/plain", ""), Condition(field, ("a",))),))
    with pytest.raises(UserError, match=f"does not support rules with the condition {field}"):
        configuration.render(view, Ports(), {})


def test_second_load_balancer_listens_on_other_ports() -> None:
    view = front_door(target_group())
    second = replace(view.load_balancers[0], name="second", internal=True)
    text = configuration.render(replace(view, load_balancers=(*view.load_balancers, second)), Ports(), {})
    assert re.findall(r"bind :(\d+)", text) == ["80", "443", "10080", "10443"]


@pytest.mark.parametrize(
    ("glob", "fits", "does_not"),
    [
        ("/healthz/*", ["/healthz/", "/healthz/a/b"], ["/healthz", "/xhealthz/"]),
        ("a?c.d", ["abc.d"], ["ac.d", "abcxd"]),
        ("100%+'$", ["100%+'$"], ["100%%'"]),
    ],
)
def test_patterns_match_as_on_aws(glob: str, fits: list[str], does_not: list[str]) -> None:
    assert all(re.fullmatch(pattern(glob), text) for text in fits)
    assert not any(re.fullmatch(pattern(glob), text) for text in does_not)


def test_quote_is_escaped_in_a_word() -> None:
    assert quoted("it's") == "'it'\\''s'"


@pytest.mark.parametrize(
    ("policy", "options"),
    [
        ("ELBSecurityPolicy-TLS13-1-3-2021-06", "ssl-min-ver TLSv1.3"),
        ("ELBSecurityPolicy-TLS13-1-2-2021-06", "ssl-min-ver TLSv1.2"),
        ("ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09", "ssl-min-ver TLSv1.2 ciphers ECDHE-"),
    ],
)
def test_security_policy_sets_the_oldest_version(policy: str, options: str) -> None:
    assert tls.bind_options(policy).startswith(options)
    assert ("ciphers" in tls.bind_options(policy)) == ("-Res" in policy)


@pytest.mark.parametrize("policy", ["ELBSecurityPolicy-FS-1-2-Res-2020-10", "ELBSecurityPolicy-2016-08"])
def test_security_policy_without_tls_1_3_is_refused(policy: str) -> None:
    with pytest.raises(UserError, match=policy):
        tls.bind_options(policy)


def test_environment_variables_set_the_ports() -> None:
    assert ports({}) == Ports(8443, 8080)
    assert ports({"OLLAMA_GPU_HTTPS_PORT": "9443"}).of(443) == 9443
    assert ports({}).of(8000) is None


@pytest.mark.parametrize("text", ["https", "0", "70000", "8080"])
def test_invalid_or_duplicate_port_is_refused(text: str) -> None:
    with pytest.raises(UserError) as refused:
        ports({"OLLAMA_GPU_HTTPS_PORT": text})
    assert refused.value.status == 2


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="needs HAProxy")
def test_haproxy_accepts_every_kind_of_rule(tmp_path: Path) -> None:
    conditions = (
        Condition("host-header", ("a'b.*", "*.Example.org")),
        Condition("http-header", ("x?y z", 'q{}\\"'), "X-Fleet"),
        Condition("path-pattern", ("/healthz", "/a?b/*")),
    )
    body = '{"a": "$x \\ %% \n b"}'
    rules = [rule(FixedResponse(503, "application/json", body), each) for each in conditions]
    rules += [
        rule(Forward(BATCH), *conditions),
        rule(Redirect(302)),
        rule(FixedResponse(204, "text/plain", "")),
    ]
    view = front_door(target_group(), target_group(BATCH, stickiness=None), rules=tuple(rules))
    text = configuration.render(view, Ports(), {BACKEND: {1: Slot("i-1", "10.0.0.1", 8443)}})
    issued = authority.ensure(tmp_path / "ca").issue(["localhost"])
    for certificate in view.load_balancers[0].listeners[1].certificates:
        (tmp_path / configuration.certificate_file(certificate)).write_text(issued.key + issued.chain)
    file = tmp_path / "haproxy.cfg"
    file.write_text(text.replace(configuration.FOLDER, str(tmp_path)).replace(configuration.RUN, "/tmp"))  # noqa: S108
    ran = subprocess.run(["haproxy", "-c", "-f", str(file)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    warnings = [line for line in ran.stderr.splitlines() if "WARNING" in line]
    assert [line for line in warnings if configuration.STATE not in line] == []
