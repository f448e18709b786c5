#!/usr/bin/env python3
"""Let running streams end before this instance terminates.

watch   run the service: drain on a spot notice or when the group terminates the instance, then complete the hook
now     drain manually: take the instance out of the load balancer and wait for running requests
undo    accept requests again after "now"
status  show whether this instance is draining, and its running requests
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

sys.path.insert(0, "/usr/local/lib/ollama-gpu")  # role `common` installs the module there
import ollama_gpu_host as host

ADMIN_SOCKET = "/run/haproxy/admin.sock"
FLAG = "/run/ollama-gpu-drain/draining"
INSTANCE = "/etc/ollama-gpu/instance.json"
HEALTH_SERVER = "instance/health"  # the gateway's /healthz follows this server
LANES = ("ollama", "embeddings")  # the gateway's backends that serve users
MARGIN_SECONDS = 5  # reserved before a spot instance ends, to complete the hook
QUIET_AFTER_SECONDS = 60  # longest pause between requests to a metadata service that does not answer
ESTABLISHED = "01"  # /proc/net/tcp


class Unreachable(Exception):
    """The gateway or the metadata service does not answer. The message names it and the cause."""


@dataclass(frozen=True)
class Running:
    """Chats and embeddings on this host: running in an Ollama, and waiting in the gateway's queue."""

    in_flight: int
    queued: int

    @property
    def total(self) -> int:
        return self.in_flight + self.queued


@dataclass(frozen=True)
class Events:
    """Scheduled events of this instance, from the metadata service."""

    lifecycle: str = ""  # target-lifecycle-state: InService, Terminated, Warmed:Stopped, ...
    spot_end: float | None = None  # seconds since 1970
    rebalance: bool = False


class Gateway:
    """The gateway's admin socket. Each command opens a new connection, so a reload in between does no harm."""

    def __init__(self, path: str = ADMIN_SOCKET, connections: str = "/proc/net/tcp") -> None:
        self._path = path
        self._connections = Path(connections)

    def drain(self) -> None:
        self._command(f"disable server {HEALTH_SERVER}")

    def serve(self) -> None:
        self._command(f"enable server {HEALTH_SERVER}")

    def running(self) -> Running:
        """Count the connections to each Ollama, because HAProxy's own counters omit workers from before a reload."""
        table = self._command("show stat").lstrip("# ")
        rows = [row for row in csv.DictReader(table.splitlines()) if row.get("pxname") in LANES]
        queued = sum(int(row["qcur"] or 0) for row in rows if row["svname"] == "BACKEND")
        ports = {int(row["addr"].rsplit(":", 1)[1]) for row in rows if ":" in (row.get("addr") or "")}
        lines = self._connections.read_text(encoding="ascii").splitlines()[1:]
        sockets = (line.split() for line in lines)
        in_flight = sum(
            fields[3] == ESTABLISHED and int(fields[2].rsplit(":", 1)[1], 16) in ports for fields in sockets
        )
        return Running(in_flight=in_flight, queued=queued)

    def _command(self, line: str) -> str:
        try:
            text = host.haproxy(self._path, line)
        except OSError as error:
            raise Unreachable(f"the gateway does not answer on {self._path}: {error.strerror or error}") from error
        if line.startswith(("enable", "disable")) and text:
            raise Unreachable(f"the gateway refused `{line}`: {text}")
        return text


class Metadata:
    """The instance metadata service, version 2. Requests a new token when the service rejects the current one."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._token = ""

    def events(self) -> Events:
        action = self._get("meta-data/spot/instance-action")
        return Events(
            lifecycle=self._get("meta-data/autoscaling/target-lifecycle-state").strip(),
            spot_end=spot_end(action) if action else None,
            rebalance=bool(self._get("meta-data/events/recommendations/rebalance")),
        )

    def instance_id(self) -> str:
        return self._get("meta-data/instance-id").strip()

    def _get(self, path: str) -> str:
        """Return the text at a path, or an empty string for 404."""
        for attempt in (1, 2):
            if not self._token:
                seconds = {"X-aws-ec2-metadata-token-ttl-seconds": "21600"}
                self._token = self._ask("api/token", "PUT", seconds)[1]
            status, text = self._ask(path, "GET", {"X-aws-ec2-metadata-token": self._token})
            if status == 401 and attempt == 1:
                self._token = ""
                continue
            if status in (200, 404):
                return text if status == 200 else ""
            break
        raise Unreachable(f"the metadata service answers {status} for {path}")

    def _ask(self, path: str, method: str, headers: dict[str, str]) -> tuple[int, str]:
        url = f"{self._endpoint}/latest/{path}"
        try:
            return 200, host.http(url, seconds=2, method=method, headers=headers).decode()
        except host.HttpError as error:
            return error.status, ""
        except OSError as error:
            raise Unreachable(f"the metadata service does not answer on {self._endpoint}: {error}") from error


def spot_end(action: str) -> float | None:
    """Return when EC2 reclaims the instance, from {"action": "terminate", "time": "2017-09-18T08:22:00Z"}."""
    try:
        told = json.loads(action)
        when = datetime.strptime(told["time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)  # noqa: UP017 (3.9)
    except (ValueError, KeyError, TypeError) as error:
        raise Unreachable(f"the metadata service returned an unknown spot notice: {action!r}") from error
    return when.timestamp()


def log(step: str, result: str, cause: str = "", **figures: object) -> None:
    host.log("ollama-gpu-drain", step, result, cause, **figures)


class Watch:
    """Watches this instance's scheduled events and drains it. `look` does one round."""

    def __init__(
        self,
        *,
        gateway: Gateway,
        events: Callable[[], Events],
        complete: Callable[[], str],
        seconds: float,
        settle: float,
        on_rebalance: bool,
        flag: Path,
        clock: Callable[[], float],
    ) -> None:
        self._gateway = gateway
        self._events = events
        self._complete = complete
        self._seconds = seconds
        self._settle = settle
        self._on_rebalance = on_rebalance
        self._flag = flag
        self._clock = clock
        self._known = Events()
        self._deadline: float | None = None
        self._idle_since: float | None = None
        self._ended = False
        self._completed = False
        self._metadata_gone = 0
        self._ask_again = 0.0
        self._gateway_gone = False

    def look(self) -> None:
        """Read the events once and act on them."""
        before = self._known
        self._learn()
        cause = self._cause()
        if cause and self._deadline is None:
            self._begin(cause)
        elif not cause and self._deadline is not None:
            self._end_drain()
        if self._known.rebalance and not before.rebalance and not self._on_rebalance:
            log(
                "rebalance",
                "ok",
                "no action: the group starts a replacement first and then terminates this instance",
            )
        if self._known.spot_end and self._deadline is not None:
            self._deadline = min(self._deadline, self._known.spot_end - MARGIN_SECONDS)
        if cause and not self._flag.exists():  # `undo` removed the flag, but the event is still scheduled
            raise_flag(self._flag, cause, self._clock())
        if self._flag.exists():
            self._hold()
        if self._deadline is not None and not self._ended:
            self._wait(self._deadline)
        if self._ended and not self._completed and self._leaves_group():
            self._report()

    def _learn(self) -> None:
        """Read the events. While the metadata service does not answer, back off and keep the last known events."""
        now = self._clock()
        if now < self._ask_again:
            return
        try:
            self._known = self._events()
        except Unreachable as error:
            self._metadata_gone += 1
            self._ask_again = now + min(QUIET_AFTER_SECONDS, 2**self._metadata_gone)
            if self._metadata_gone == 1:
                log("metadata", "failed", str(error))
            return
        if self._metadata_gone:
            log("metadata", "ok", failures=self._metadata_gone)
        self._metadata_gone = 0

    def _leaves_group(self) -> bool:
        """Return whether the terminate hook waits. It also waits when the instance moves to a warm pool."""
        return self._known.lifecycle == "Terminated" or self._known.lifecycle.startswith("Warmed:")

    def _cause(self) -> str:
        if self._known.lifecycle == "Terminated":
            return "the group terminates this instance"
        if self._known.lifecycle.startswith("Warmed:"):
            return f"the group moves this instance to its warm pool ({self._known.lifecycle})"
        if self._known.spot_end:
            return "EC2 reclaims this spot instance"
        if self._known.rebalance and self._on_rebalance:
            return "EC2 recommends replacing this spot instance"
        return ""

    def _begin(self, cause: str) -> None:
        self._deadline = self._clock() + self._seconds
        self._ended = self._completed = False
        self._idle_since = None
        raise_flag(self._flag, cause, self._clock())
        log("drain", "started", cause, seconds=int(self._seconds))

    def _end_drain(self) -> None:
        self._deadline = None
        self._ended = self._completed = False
        self._flag.unlink(missing_ok=True)
        try:
            self._gateway.serve()
            log("drain", "undone", "the termination was cancelled")
        except Unreachable as error:
            log("drain", "failed", str(error))

    def _hold(self) -> None:
        """Keep the gateway draining: a reload of HAProxy resets its state."""
        try:
            self._gateway.drain()
            self._gateway_gone = False
        except Unreachable as error:
            if not self._gateway_gone:
                log("gateway", "failed", str(error))
            self._gateway_gone = True

    def _wait(self, deadline: float) -> None:
        now = self._clock()
        try:
            running = self._gateway.running()
        except (Unreachable, OSError, ValueError, KeyError):
            running = Running(0, 0)  # without a gateway there are no streams
        if running.total:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now
        if self._idle_since is not None and now - self._idle_since >= self._settle:
            self._ended = True
            log("drain", "ok", seconds_left=int(deadline - now))
        elif now >= deadline:
            self._ended = True
            log(
                "drain",
                "failed",
                "the time budget ended before the streams did",
                in_flight=running.in_flight,
                queued=running.queued,
            )

    def _report(self) -> None:
        self._completed = True
        try:
            log("terminate-hook", "ok", self._complete())
        except Exception as error:
            # the termination continues when the hook times out
            log("terminate-hook", "failed", f"{type(error).__name__}: {error}")


def raise_flag(flag: Path, cause: str, now: float) -> None:
    flag.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    host.write_atomically(flag, json.dumps({"cause": cause, "since": int(now)}) + "\n")


def complete_hook(instance: dict[str, Any], instance_id: str) -> str:
    """Complete the terminate hook so that the termination continues, and return a message for the journal.

    It is not an error when no hook waits, after an earlier completion or in a group without the hook.
    """
    from botocore.exceptions import ClientError  # late: draining manually needs no AWS

    client = host.aws_client("autoscaling", instance, attempts=4, connect_timeout=5, read_timeout=5)
    hook = instance["lifecycle_hooks"]["terminate"]
    try:
        client.complete_lifecycle_action(
            AutoScalingGroupName=instance["group"],
            InstanceId=instance_id,
            LifecycleHookName=hook,
            LifecycleActionResult="CONTINUE",
        )
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "ValidationError":
            return f"no hook {hook} is waiting: {error.response['Error'].get('Message', '')}"
        raise
    return f"the hook {hook} of {instance['group']} is completed with CONTINUE"


def watch(options: argparse.Namespace) -> int:
    metadata = Metadata(os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or "http://169.254.169.254")

    def description() -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(Path(options.instance).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return found

    def complete() -> str:
        return complete_hook(description(), metadata.instance_id())

    seconds = min(options.seconds, int(description().get("drain_seconds", options.seconds)))
    watching = Watch(
        gateway=Gateway(options.socket),
        events=metadata.events,
        complete=complete,
        seconds=seconds,
        settle=options.settle,
        on_rebalance=options.on_rebalance,
        flag=Path(options.flag),
        clock=time.time,
    )
    log("watch", "started", seconds=seconds)
    while True:
        watching.look()
        time.sleep(options.poll)


def drain_now(options: argparse.Namespace) -> int:
    gateway = Gateway(options.socket)
    raise_flag(Path(options.flag), "manual", time.time())
    gateway.drain()
    print("draining: the load balancer marks this instance unhealthy, and then its group replaces it.")
    print(
        "To keep the instance, put it on standby first (aws autoscaling enter-standby), or run: ollama-gpu-drain undo"
    )
    deadline = time.monotonic() + options.seconds
    idle_since = None
    while True:
        running = gateway.running()
        now = time.monotonic()
        idle_since = (idle_since or now) if not running.total else None
        if idle_since is not None and now - idle_since >= options.settle:
            print("drained: no requests are running")
            return 0
        if now >= deadline:
            print(
                f"after {options.seconds:.0f} s, {running.in_flight} requests are running, {running.queued} waiting",
                file=sys.stderr,
            )
            return 1
        time.sleep(min(1.0, options.poll))


def undo(options: argparse.Namespace) -> int:
    Path(options.flag).unlink(missing_ok=True)
    Gateway(options.socket).serve()
    print("this instance accepts requests again")
    return 0


def status(options: argparse.Namespace) -> int:
    flag = Path(options.flag)
    told = json.loads(flag.read_text(encoding="utf-8")) if flag.exists() else {}
    running = Gateway(options.socket).running()
    found = {"draining": bool(told), **told, "in_flight": running.in_flight, "queued": running.queued}
    if options.json:
        print(json.dumps(found))
    else:
        state = f"draining ({told['cause']})" if told else "serving"
        print(f"{state}: {running.in_flight} requests running, {running.queued} waiting")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--socket", default=ADMIN_SOCKET, help=argparse.SUPPRESS)
    common.add_argument("--flag", default=FLAG, help=argparse.SUPPRESS)
    common.add_argument("--seconds", type=float, default=110, help="maximum seconds to wait for running streams")
    common.add_argument("--settle", type=float, default=5, help="seconds without a request until it is drained")
    common.add_argument("--poll", type=float, default=2, help="seconds between two checks")
    commands = parser.add_subparsers(dest="command", required=True)
    service = commands.add_parser("watch", parents=[common])
    service.add_argument("--instance", default=INSTANCE)
    service.add_argument("--on-rebalance", action="store_true")
    service.set_defaults(run=watch)
    commands.add_parser("now", parents=[common]).set_defaults(run=drain_now)
    commands.add_parser("undo", parents=[common]).set_defaults(run=undo)
    shown = commands.add_parser("status", parents=[common])
    shown.add_argument("--json", action="store_true")
    shown.set_defaults(run=status)
    options = parser.parse_args()
    try:
        code: int = options.run(options)
    except Unreachable as error:
        print(f"ollama-gpu-drain: {error}", file=sys.stderr)
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
