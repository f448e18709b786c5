"""HAProxy's configuration of a view: a front for each listener, a backend for each target group."""

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
    HealthCheck,
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
"""How long a load balancer tries to connect to a target (its documentation on 504)."""

_HEAD = f"""\
global
  log stdout format raw local0 info
  user haproxy
  group haproxy
  maxconn 4000 # two descriptors for each, and containers may have as few as 20000
  nbthread 2
  stats socket {RUN}/{SOCKET} mode 666 level admin expose-fd listeners # its folder is the user's alone
  stats timeout 30s
  server-state-file {RUN}/{STATE}
  hard-stop-after 1h      # streams that began before a reload
  spread-checks 0
  ssl-server-verify none  # as a load balancer, which does not look at its targets' certificates
  h2-workaround-bogus-websocket-clients # a load balancer has WebSockets over HTTP/1.1 only

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
    """The whole configuration. ``slots`` is who has which server now; without them it is the shape alone."""
    groups = {group.arn: group for group in view.target_groups}
    parts = [_HEAD]
    idle: dict[str, int] = {}
    for place, balancer in enumerate(view.load_balancers):
        for listener in balancer.listeners:
            parts.append("\n".join(_front(balancer, place, listener, groups, ports)) + "\n")
            for rule in listener.rules:
                if isinstance(rule.action, Forward):
                    idle |= {arn: balancer.idle_timeout for arn, _ in rule.action.groups}
    for group in view.target_groups:
        parts.append("\n".join(_backend(group, idle.get(group.arn, 60), slots.get(group.backend, {}))) + "\n")
    return "\n".join(parts)


def port_inside(place: int, port: int) -> int:
    """The container's port for a listener of the ``place``-th load balancer: the first one has its own."""
    return port + 10000 * place


def certificate_file(certificate: Certificate) -> str:
    """The file name of a certificate with its key."""
    return hashlib.sha256(certificate.arn.encode()).hexdigest()[:16] + ".pem"


def _front(
    balancer: LoadBalancer, place: int, listener: Listener, groups: Mapping[str, TargetGroup], ports: Ports
) -> Iterator[str]:
    secure = listener.protocol == "HTTPS"
    published = (ports.of(listener.port) if place == 0 else None) or listener.port
    bind = f"bind :{port_inside(place, listener.port)}"
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
    # First who fits, then what it does: HAProxy would answer by itself before it looks where to forward.
    for number, rule in enumerate(listener.rules):
        conditions = " ".join(("!{ var(txn.rule) -m found }", *map(condition, rule.conditions)))
        yield f"  http-request set-var(txn.rule) int({number}) if {conditions}"
    forwards: list[str] = []
    for number, rule in enumerate(listener.rules):
        chosen = f"if {{ var(txn.rule) -m int {number} }}"
        if isinstance(rule.action, Forward):
            dice, uses = _forward(rule.action, chosen, groups)
            yield from dice
            forwards += uses
        else:
            yield f"  http-request {_answer(rule.action, listener, published, ports)} {chosen}"
    yield from forwards


def _answer(action: FixedResponse | Redirect, listener: Listener, published: int, ports: Ports) -> str:
    if isinstance(action, Redirect):
        return f"redirect location {_location(action, listener, published, ports)} code {action.status}"
    body = f" content-type {quoted(action.content_type)} string {_text(action.body)}" if action.body else ""
    return f"return status {action.status}{body}"


def _forward(action: Forward, chosen: str, groups: Mapping[str, TargetGroup]) -> tuple[list[str], list[str]]:
    """The throw of the dice where there is a choice, and the backend for each outcome."""
    weighted = [(groups[arn].backend, weight) for arn, weight in action.groups if arn in groups and weight]
    total = sum(weight for _, weight in weighted)
    dice = [f"  http-request set-var(txn.dice) rand({total}) {chosen}"] if len(weighted) > 1 else []
    uses: list[str] = []
    below = 0
    for backend, weight in weighted:
        below += weight
        share = f" {{ var(txn.dice) -m int lt {below} }}" if below < total else ""
        uses.append(f"  use_backend {backend} {chosen}{share}")
    return dice, uses


def _location(action: Redirect, listener: Listener, published: int, ports: Ports) -> str:
    protocol = listener.protocol.lower() if action.protocol == "#{protocol}" else action.protocol.lower()
    port = published if action.port == "#{port}" else int(action.port)
    if action.port != "#{port}":
        port = ports.of(port) or port
    known = {
        "#{protocol}": protocol,
        "#{host}": "%[var(txn.host)]",
        "#{port}": str(port),
        "#{path}": "%[path,regsub(^/,)]",
        "#{query}": "%[query]",
    }

    def fill(text: str) -> str:
        filled = text.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
        for placeholder, value in known.items():
            filled = filled.replace(placeholder, value)
        return filled

    standing = {"https": 443, "http": 80}.get(protocol)
    authority = fill(action.host) + ("" if port == standing else f":{port}")
    # The query's question mark is there only with a query: `pathq` knows when.
    if (action.path, action.query) == ("/#{path}", "#{query}"):
        rest = "%[pathq]"
    else:
        rest = fill(action.path) + (f"?{fill(action.query)}" if action.query else "")
    return f'"{protocol}://{authority}{rest}"'


def _backend(group: TargetGroup, idle: int, taken: Mapping[int, Slot]) -> Iterator[str]:
    check = group.health_check
    balance = {"least_outstanding_requests": "leastconn", "weighted_random": "random"}
    yield f"backend {group.backend}"
    yield f"  balance {balance.get(group.algorithm, 'roundrobin')}"
    # Also the limit for a check to connect, which is why it is not above that of a check.
    yield f"  timeout connect {min(CONNECT_SECONDS, check.timeout)}s"
    yield f"  timeout check {check.timeout}s"
    yield f"  timeout server {idle}s"
    yield f"  timeout tunnel {idle}s"
    if group.stickiness is not None:
        seconds = group.stickiness
        yield f"  dynamic-cookie-key {group.backend}"
        yield f'  cookie AWSALB insert indirect dynamic maxidle {seconds} attr "Max-Age={seconds}"'
    # A target that refuses is a bad gateway; only where no target is healthy is the service unavailable.
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
    yield f"  default-server {_server_options(group, check)}"
    for number in range(1, size(group, taken) + 1):
        slot = taken.get(number)
        free = slot is None or slot.draining_since is not None
        host, port = NOWHERE if slot is None or free else (slot.address, slot.port)
        yield f"  server {name(number)} {host}:{port}{' disabled' if free else ''}"


def _server_options(group: TargetGroup, check: HealthCheck) -> str:
    options = [f"check inter {check.interval}s fall {check.unhealthy_threshold} rise {check.healthy_threshold}"]
    if check.port != "traffic-port":
        options.append(f"port {check.port}")
    if group.protocol == "HTTPS":
        options.append("ssl verify none")
        if group.protocol_version != "HTTP1":
            options.append("alpn h2")
    if check.protocol == "HTTPS" and group.protocol != "HTTPS":
        options.append("check-ssl verify none")
    if check.protocol == "HTTP" and group.protocol == "HTTPS":
        options.append("no-check-ssl")
    if group.slow_start:
        options.append(f"slowstart {group.slow_start}s")
    return " ".join(options)


def _text(body: str) -> str:
    """A body as one word of double quotes, the only ones in which a line can end."""
    escaped = body.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return '"' + escaped.replace("\r", "\\r").replace("\n", "\\n") + '"'
