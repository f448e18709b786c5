#!/usr/bin/env python3
"""Let running streams end before this instance goes.

watch   the service: on a spot notice, or when the group ends the instance, drains and completes the lifecycle hook
now     drains by hand: the load balancer sends nothing new, and the command waits for what runs
undo    takes requests again after "now"
status  whether this instance drains, and what still runs
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

ADMIN_SOCKET = "/run/haproxy/admin.sock"
FLAG = "/run/ollama-gpu-drain/draining"
INSTANCE = "/etc/ollama-gpu/instance.json"
HEALTH_SERVER = "instance/health"  # the gateway's /healthz follows it
LANES = ("ollama", "embeddings")  # the gateway's backends that work for people
MARGIN_SECONDS = 5  # left before a spot instance's end, to report
QUIET_AFTER_SECONDS = 60  # the longest pause between two questions to a metadata service that is gone
ESTABLISHED = "01"  # /proc/net/tcp


class Unreachable(Exception):
    """Something that this program talks to does not answer; the text says what and why."""


@dataclass(frozen=True)
class Running:
    """Chats and embeddings on this host: with an Ollama, and waiting in the gateway's queue."""

    in_flight: int
    queued: int

    @property
    def total(self) -> int:
        return self.in_flight + self.queued


@dataclass(frozen=True)
class Events:
    """What the metadata service says about this instance's future."""

    lifecycle: str = ""  # target-lifecycle-state: InService, Terminated, Warmed:Stopped, ...
    spot_end: float | None = None  # seconds since 1970
    rebalance: bool = False


class Gateway:
    """The gateway's admin socket. It is asked anew each time, so a reload in between does no harm."""

    def __init__(self, path: str = ADMIN_SOCKET, connections: str = "/proc/net/tcp") -> None:
        self._path = path
        self._connections = Path(connections)

    def drain(self) -> None:
        self._command(f"disable server {HEALTH_SERVER}")

    def serve(self) -> None:
        self._command(f"enable server {HEALTH_SERVER}")

    def running(self) -> Running:
        """Counted by connections to the Ollama, because a worker that was reloaded away still has its own."""
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
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(5)
                connection.connect(self._path)
                connection.sendall(line.encode() + b"\n")
                answer = b""
                while block := connection.recv(65536):
                    answer += block
        except OSError as error:
            raise Unreachable(f"the gateway does not answer on {self._path}: {error.strerror or error}") from error
        text = answer.decode(errors="replace").strip()
        if line.startswith(("enable", "disable")) and text:
            raise Unreachable(f"the gateway refused `{line}`: {text}")
        return text


class Metadata:
    """The instance metadata service, version 2. A token that was forgotten by the service is asked for again."""

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
        """The text at a path; empty when there is none (404)."""
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
        request = urllib.request.Request(f"{self._endpoint}/latest/{path}", headers=headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=2) as response:  # noqa: S310
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            error.close()
            return error.code, ""
        except OSError as error:
            raise Unreachable(f"the metadata service does not answer on {self._endpoint}: {error}") from error


def spot_end(action: str) -> float | None:
    """When EC2 takes the instance back, from {"action": "terminate", "time": "2017-09-18T08:22:00Z"}."""
    try:
        told = json.loads(action)
        when = datetime.strptime(told["time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)  # noqa: UP017 (3.9)
    except (ValueError, KeyError, TypeError) as error:
        raise Unreachable(f"the metadata service's spot notice is not understood: {action!r}") from error
    return when.timestamp()


def log(step: str, result: str, cause: str = "", **figures: object) -> None:
    parts = [f"step={step}", f"result={result}", *(f"{name}={value}" for name, value in figures.items())]
    print("ollama-gpu-drain: " + " ".join(parts) + (f' cause="{cause}"' if cause else ""), flush=True)


class Watch:
    """Follows this instance's fate, one look at a time. Time and everything outside come in by parameter."""

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
        """One look at the events, then whatever follows from them."""
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
                "the group starts a replacement first and then terminates this instance: nothing to do yet",
            )
        if self._known.spot_end and self._deadline is not None:
            self._deadline = min(self._deadline, self._known.spot_end - MARGIN_SECONDS)
        if cause and not self._flag.exists():  # undone by hand; what ends the instance is still there
            raise_flag(self._flag, cause, self._clock())
        if self._flag.exists():
            self._hold()
        if self._deadline is not None and not self._ended:
            self._wait(self._deadline)
        if self._ended and not self._completed and self._leaves_group():
            self._report()

    def _learn(self) -> None:
        """Ask the metadata service; when it is gone, ask more and more rarely and keep what is known."""
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
        """Whether the terminate hook waits; it does on the way into a warm pool as well."""
        return self._known.lifecycle == "Terminated" or self._known.lifecycle.startswith("Warmed:")

    def _cause(self) -> str:
        if self._known.lifecycle == "Terminated":
            return "the group terminates this instance"
        if self._known.lifecycle.startswith("Warmed:"):
            return f"the group moves this instance to its warm pool ({self._known.lifecycle})"
        if self._known.spot_end:
            return "EC2 takes this spot instance back"
        if self._known.rebalance and self._on_rebalance:
            return "EC2 recommends to leave this spot instance"
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
            log("drain", "undone", "this instance stays")
        except Unreachable as error:
            log("drain", "failed", str(error))

    def _hold(self) -> None:
        """Keep the gateway draining: a reload forgets it."""
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
            running = Running(0, 0)  # no gateway, no streams
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
                "the budget ended before the streams",
                in_flight=running.in_flight,
                queued=running.queued,
            )

    def _report(self) -> None:
        self._completed = True
        try:
            log("terminate-hook", "ok", self._complete())
        except Exception as error:
            # The hook's own timeout continues the termination.
            log("terminate-hook", "failed", f"{type(error).__name__}: {error}")


def raise_flag(flag: Path, cause: str, now: float) -> None:
    flag.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = flag.with_suffix(".new")
    new.write_text(json.dumps({"cause": cause, "since": int(now)}) + "\n", encoding="utf-8")
    new.replace(flag)


def complete_hook(instance: dict[str, Any], instance_id: str) -> str:
    """Let the termination go on. Says so, or that nobody waits (a second report, or a group without the hook)."""
    import boto3  # late: draining by hand needs no AWS
    from botocore.config import Config
    from botocore.exceptions import ClientError

    client = boto3.client(
        "autoscaling",
        region_name=instance["region"],
        endpoint_url=instance.get("endpoint_url") or os.environ.get("AWS_ENDPOINT_URL") or None,
        config=Config(connect_timeout=5, read_timeout=5, retries={"max_attempts": 4, "mode": "standard"}),
    )
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
            return f"nobody waits for the hook {hook}: {error.response['Error'].get('Message', '')}"
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
    raise_flag(Path(options.flag), "by hand", time.time())
    gateway.drain()
    print("draining: the load balancer marks this instance unhealthy, and its group then replaces it.")
    print("To keep it, put it on standby first (aws autoscaling enter-standby), or undo with: ollama-gpu-drain undo")
    deadline = time.monotonic() + options.seconds
    idle_since = None
    while True:
        running = gateway.running()
        now = time.monotonic()
        idle_since = (idle_since or now) if not running.total else None
        if idle_since is not None and now - idle_since >= options.settle:
            print("drained: nothing runs here any more")
            return 0
        if now >= deadline:
            print(
                f"after {options.seconds:.0f} s {running.in_flight} requests still run and {running.queued} wait",
                file=sys.stderr,
            )
            return 1
        time.sleep(min(1.0, options.poll))


def undo(options: argparse.Namespace) -> int:
    Path(options.flag).unlink(missing_ok=True)
    Gateway(options.socket).serve()
    print("this instance takes requests again")
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
        print(f"{state}: {running.in_flight} requests run, {running.queued} wait")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--socket", default=ADMIN_SOCKET, help=argparse.SUPPRESS)
    common.add_argument("--flag", default=FLAG, help=argparse.SUPPRESS)
    common.add_argument("--seconds", type=float, default=110, help="longest wait for running streams")
    common.add_argument("--settle", type=float, default=5, help="seconds without a request that mean the end")
    common.add_argument("--poll", type=float, default=2, help="seconds between two looks")
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
