"""HAProxy's configuration for a view: a frontend for each listener, a backend for each target group."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from . import tls
from .conditions import condition, quoted
from .ports import Ports
from .slots import NOWHERE, Slot, Slots, name, size
from .view import (
    Certificate,
    FixedResponse,
    Forward,
    FrontDoorView,
    Listener,
    LoadBalancer,
    Redirect,
    TargetGroup,
)

FOLDER = "/etc/front-door"
RUN = "/run/front-door"
SOCKET = "admin.sock"
STATE = "servers.state"
CONNECT_SECONDS = 10
"""Timeout of a load balancer's connection to a target, by AWS's documentation of status 504."""

_HEAD = f"""\
global
  log stdout format raw local0 info
  user haproxy
  group haproxy
  maxconn 4000 # two descriptors each, and a container may have only 20000
  nbthread 2
  stats socket {RUN}/{SOCKET} mode 666 level admin expose-fd listeners # only the user can enter its folder
  stats timeout 30s
  server-state-file {RUN}/{STATE}
  hard-stop-after 1h      # limit for streams from before a reload
  spread-checks 0
  ssl-server-verify none  # a load balancer does not verify its targets' certificates
  h2-workaround-bogus-websocket-clients # a load balancer supports WebSockets over HTTP/1.1 only

defaults
  mode http
  log global
  option httplog
  option dontlognull
  option http-no-delay
  option splice-auto
  retries 0 # a request goes to one target, once
  load-server-state-from-file global
  timeout http-request 60s
  timeout queue 1s
"""


def render(view: FrontDoorView, ports: Ports, slots: Slots) -> str:
    """Return the whole configuration. ``slots`` assigns servers to targets; without them every server is disabled."""
    groups = {group.arn: group for group in view.target_groups}
    parts = [_HEAD]
    idle: dict[str, int] = {}
    for index, balancer in enumerate(view.load_balancers):
        for listener in balancer.listeners:
            parts.append("\n".join(_front(balancer, index, listener, groups, ports)) + "\n")
            for rule in listener.rules:
                if isinstance(rule.action, Forward):
                    idle[rule.action.target_group] = balancer.idle_timeout
    for group in view.target_groups:
        parts.append("\n".join(_backend(group, idle.get(group.arn, 60), slots.get(group.backend, {}))) + "\n")
    return "\n".join(parts)


def port_inside(index: int, port: int) -> int:
    """Return the container's port for a listener of the load balancer at ``index``. The first one keeps its ports."""
    return port + 10000 * index


def certificate_file(certificate: Certificate) -> str:
    """Return the file name of a certificate with its key."""
    return hashlib.sha256(certificate.arn.encode()).hexdigest()[:16] + ".pem"


def _front(
    balancer: LoadBalancer, index: int, listener: Listener, groups: Mapping[str, TargetGroup], ports: Ports
) -> Iterator[str]:
    secure = listener.protocol == "HTTPS"
    published = (ports.of(listener.port) if index == 0 else None) or listener.port
    bind = f"bind :{port_inside(index, listener.port)}"
    if secure:
        files = " ".join(f"crt {FOLDER}/{certificate_file(each)}" for each in listener.certificates)
        alpn = "h2,http/1.1" if balancer.http2 else "http/1.1"
        bind += f" ssl {files} alpn {alpn} {tls.bind_options(listener.ssl_policy)}"
    yield f"frontend {balancer.name}.{listener.port}"
    yield f"  {bind}"
    yield f"  timeout client {balancer.idle_timeout}s"
    yield f"  timeout http-keep-alive {balancer.idle_timeout}s"
    yield "  http-request set-var(txn.host) req.hdr(host),field(1,:)"
    yield "  http-request set-var(txn.before) req.fhdr(x-forwarded-for)"
    yield '  http-request set-header X-Forwarded-For "%[var(txn.before)], %[src]" if { var(txn.before) -m found }'
    yield '  http-request set-header X-Forwarded-For "%[src]" if !{ var(txn.before) -m found }'
    yield f"  http-request set-header X-Forwarded-Proto {'https' if secure else 'http'}"
    yield f"  http-request set-header X-Forwarded-Port {published}"
    if listener.hsts:
        yield f"  http-after-response set-header Strict-Transport-Security {quoted(listener.hsts)}"
    # First choose the rule, then apply it: HAProxy evaluates its own responses before it chooses a backend.
    for number, rule in enumerate(listener.rules):
        conditions = " ".join(("!{ var(txn.rule) -m found }", *map(condition, rule.conditions)))
        yield f"  http-request set-var(txn.rule) int({number}) if {conditions}"
    forwards: list[str] = []
    for number, rule in enumerate(listener.rules):
        chosen = f"if {{ var(txn.rule) -m int {number} }}"
        if isinstance(rule.action, Forward):
            if rule.action.target_group in groups:
                forwards.append(f"  use_backend {groups[rule.action.target_group].backend} {chosen}")
        else:
            yield f"  http-request {_response(rule.action, ports)} {chosen}"
    yield from forwards


def _response(action: FixedResponse | Redirect, ports: Ports) -> str:
    if isinstance(action, Redirect):
        port = "" if ports.https == 443 else f":{ports.https}"
        return f'redirect location "https://%[var(txn.host)]{port}%[pathq]" code {action.status}'
    body = f" content-type {quoted(action.content_type)} string {_text(action.body)}" if action.body else ""
    return f"return status {action.status}{body}"


def _backend(group: TargetGroup, idle: int, taken: Mapping[int, Slot]) -> Iterator[str]:
    check = group.health_check
    yield f"backend {group.backend}"
    yield "  balance leastconn"
    # Checks use this timeout to connect, too, so it must not exceed the timeout of a check.
    yield f"  timeout connect {min(CONNECT_SECONDS, check.timeout)}s"
    yield f"  timeout check {check.timeout}s"
    yield f"  timeout server {idle}s"
    yield f"  timeout tunnel {idle}s"
    if group.stickiness is not None:
        seconds = group.stickiness
        yield f"  dynamic-cookie-key {group.backend}"
        yield f'  cookie AWSALB insert indirect dynamic maxidle {seconds} attr "Max-Age={seconds}"'
    # As on AWS: 502 when a target refuses the connection, 503 only when no target is healthy.
    yield "  http-response set-var(txn.answered) bool(true)"
    yield (
        "  http-after-response set-status 502 if { status 503 } !{ var(txn.answered) -m found }"
        f" {{ nbsrv({group.backend}) gt 0 }}"
    )
    yield "  option httpchk"
    yield (
        f"  http-check send meth GET uri {quoted(check.path)} ver HTTP/1.1 hdr Host {group.backend}"
        " hdr User-Agent ELB-HealthChecker/2.0 hdr Connection close"
    )
    yield f"  http-check expect status {check.codes}"
    checks = f"inter {check.interval}s fall {check.unhealthy_threshold} rise {check.healthy_threshold}"
    yield f"  default-server check {checks} ssl verify none"
    for number in range(1, size(group, taken) + 1):
        slot = taken.get(number)
        free = slot is None or slot.draining_since is not None
        host, port = NOWHERE if slot is None or free else (slot.address, slot.port)
        yield f"  server {name(number)} {host}:{port}{' disabled' if free else ''}"


def _text(body: str) -> str:
    """Return a body as one word in double quotes, the only form that can contain line breaks."""
    escaped = body.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return '"' + escaped.replace("\r", "\\r").replace("\n", "\\n") + '"'
