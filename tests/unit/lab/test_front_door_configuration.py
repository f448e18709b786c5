"""The front door's configuration says what the load balancer's listeners, rules and target groups say."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ollama_gpu.errors import UserError
from ollama_gpu.lab import authority
from ollama_gpu.lab.front_door import Ports, configuration, ports, tls
from ollama_gpu.lab.front_door.conditions import pattern, quoted
from ollama_gpu.lab.front_door.slots import Slot
from ollama_gpu.lab.front_door.view import Condition, FixedResponse, Forward, Redirect

from .front_door_views import BATCH, INTERACTIVE, front_door, rule, target_group

BACKEND = "lab-interactive.0011"


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


def test_the_fabric_of_the_edge_module_is_rendered_in_full() -> None:
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


def test_who_has_a_slot_is_written_and_who_drains_gets_nothing() -> None:
    slots = {BACKEND: {1: Slot("i-1", "10.0.0.1", 8443), 2: Slot("i-2", "10.0.0.2", 8443, draining_since=1.0)}}
    text = lines(configuration.render(front_door(target_group()), Ports(), slots))
    assert "server slot1 10.0.0.1:8443" in text
    assert "server slot2 127.0.0.1:1 disabled" in text


def test_the_redirect_leaves_a_standard_port_out() -> None:
    text = configuration.render(front_door(target_group()), Ports(https=443), {})
    assert '"https://%[var(txn.host)]%[pathq]"' in text


def test_weights_share_a_throw_of_the_dice() -> None:
    shared = rule(Forward(((INTERACTIVE, 3), (BATCH, 1))), Condition("path-pattern", ("/b/*",)), priority=9)
    text = lines(configuration.render(front_door(target_group(), target_group(BATCH), rules=(shared,)), Ports(), {}))
    assert "http-request set-var(txn.dice) rand(4) if { var(txn.rule) -m int 1 }" in text
    first = f"use_backend {BACKEND} if {{ var(txn.rule) -m int 1 }} {{ var(txn.dice) -m int lt 3 }}"
    assert text[text.index(first) + 1] == "use_backend lab-batch.0022 if { var(txn.rule) -m int 1 }"


def test_a_second_load_balancer_listens_beside_the_first() -> None:
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
def test_patterns_mean_what_aws_means(glob: str, fits: list[str], does_not: list[str]) -> None:
    assert all(re.fullmatch(pattern(glob), text) for text in fits)
    assert not any(re.fullmatch(pattern(glob), text) for text in does_not)


def test_a_quote_in_a_word_stays_one_word() -> None:
    assert quoted("it's") == "'it'\\''s'"


@pytest.mark.parametrize(
    ("policy", "options"),
    [
        ("ELBSecurityPolicy-TLS13-1-3-2021-06", "ssl-min-ver TLSv1.3"),
        ("ELBSecurityPolicy-TLS13-1-2-2021-06", "ssl-min-ver TLSv1.2"),
        ("ELBSecurityPolicy-FS-1-2-Res-2020-10", "ssl-min-ver TLSv1.2 ssl-max-ver TLSv1.2 ciphers ECDHE-"),
        ("ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09", "ssl-min-ver TLSv1.2 ciphers ECDHE-"),
        ("ELBSecurityPolicy-2016-08", "ssl-min-ver TLSv1.0 ssl-max-ver TLSv1.2"),
    ],
)
def test_a_security_policy_decides_the_oldest_version(policy: str, options: str) -> None:
    assert tls.bind_options(policy).startswith(options)
    assert ("ciphers" in tls.bind_options(policy)) == ("-Res" in policy)


def test_ports_are_chosen_by_the_environment() -> None:
    assert ports({}) == Ports(8443, 8080)
    assert ports({"OLLAMA_GPU_HTTPS_PORT": "9443"}).of(443) == 9443
    assert ports({}).of(8000) is None


@pytest.mark.parametrize("text", ["https", "0", "70000", "8080"])
def test_what_is_no_port_of_its_own_is_refused(text: str) -> None:
    with pytest.raises(UserError) as refused:
        ports({"OLLAMA_GPU_HTTPS_PORT": text})
    assert refused.value.status == 2


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="needs HAProxy")
def test_haproxy_takes_every_kind_of_rule(tmp_path: Path) -> None:
    conditions = (
        Condition("host-header", ("a'b.*", "*.Example.org")),
        Condition("http-header", ("x?y z", 'q{}\\"'), "X-Fleet"),
        Condition("query-string", ("v=1*", "plain")),
        Condition("source-ip", ("10.0.0.0/8",)),
        Condition("http-request-method", ("GET", "POST")),
    )
    body = '{"a": "$x \\ %% \n b"}'
    rules = [rule(FixedResponse(503, "application/json", body), each) for each in conditions]
    rules += [
        rule(Forward(((INTERACTIVE, 3), (BATCH, 1))), *conditions),
        rule(Redirect(302, "#{protocol}", "x.#{host}", "#{port}", "/n/#{path}", "a=1%20&#{query}")),
        rule(FixedResponse(204, "text/plain", "")),
    ]
    groups = (
        target_group(),
        target_group(BATCH, protocol="HTTP", stickiness=None, slow_start=30, algorithm="weighted_random"),
    )
    view = front_door(*groups, rules=tuple(rules))
    text = configuration.render(view, Ports(), {BACKEND: {1: Slot("i-1", "10.0.0.1", 8443)}})
    issued = authority.keep(tmp_path / "ca").issue(["localhost"])
    for certificate in view.load_balancers[0].listeners[1].certificates:
        (tmp_path / configuration.certificate_file(certificate)).write_text(issued.key + issued.chain)
    file = tmp_path / "haproxy.cfg"
    file.write_text(text.replace(configuration.FOLDER, str(tmp_path)).replace(configuration.RUN, "/tmp"))  # noqa: S108
    ran = subprocess.run(["haproxy", "-c", "-f", str(file)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    warnings = [line for line in ran.stderr.splitlines() if "WARNING" in line]
    assert [line for line in warnings if configuration.STATE not in line] == []
