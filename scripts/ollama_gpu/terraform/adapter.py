"""Terraform, typed: the one place that knows python-terraform, and the only one that runs Terraform.

python-terraform 0.10.1 builds the command lines and no more. Its own runner holds all output until the end
(no progress for minutes, all of it in memory), cannot pass on an interrupt, reports failure as a tuple, sends
`-force` with a destroy (which Terraform refuses), waits for an approval with an apply, lets `var_file` beat
`variables` in silence, takes any misspelt method for a command, and loads the state file that it finds. So
`generate_cmd_string` is called with explicit options, and the list it returns (its name notwithstanding) is
run by terraform.process. Traps that remain: options must be exactly `list` or `dict` to be spread, and a
`dict` other than `backend_config` becomes a temporary file of variables that is never removed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from python_terraform import IsFlagged
from python_terraform import Terraform as CommandBuilder

from ollama_gpu.errors import UserError
from ollama_gpu.progress import NoProgress, ProgressView
from ollama_gpu.review import PlanReview, review_of
from ollama_gpu.terraform.causes import Context
from ollama_gpu.terraform.errors import Interrupted, explain, unexplained, warnings
from ollama_gpu.terraform.events import (
    ChangeSummary,
    Diagnostic,
    Event,
    OutputChanges,
    ResourceChange,
    ResourceDrift,
    parse_diagnostic,
    parse_line,
    parse_text_diagnostics,
)
from ollama_gpu.terraform.installation import Version, check_version, clean_environment, find_terraform
from ollama_gpu.terraform.log import RunLog
from ollama_gpu.terraform.process import Listener, run

_CHANGES = 2  # what -detailed-exitcode makes of "succeeded, and there is something to apply"


@dataclass(frozen=True)
class PlanOutcome:
    """A plan that succeeded: ``changes`` is Terraform's own verdict, ``review`` is made of its events."""

    changes: bool
    review: PlanReview
    warnings: tuple[str, ...]
    log: Path


@dataclass(frozen=True)
class ApplyOutcome:
    """Resources added, changed and destroyed; a replacement counts as one added and one destroyed."""

    added: int
    changed: int
    destroyed: int
    warnings: tuple[str, ...]
    log: Path


@dataclass
class _Seen:
    """What one run reported."""

    diagnostics: list[Diagnostic] = field(default_factory=list)
    changes: list[ResourceChange] = field(default_factory=list)
    drift: list[ResourceDrift] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    summary: ChangeSummary | None = None
    text: bytearray = field(default_factory=bytearray)
    warnings: tuple[str, ...] = ()
    status: int = 0
    log: Path = Path()

    def add(self, event: Event) -> None:
        if isinstance(event, Diagnostic):
            self.diagnostics.append(event)
        elif isinstance(event, ResourceChange):
            self.changes.append(event)
        elif isinstance(event, ResourceDrift):
            self.drift.append(event)
        elif isinstance(event, OutputChanges):
            self.outputs.extend(event.actions)
        elif isinstance(event, ChangeSummary):
            self.summary = event

    @property
    def failed(self) -> bool:
        return any(each.is_error for each in self.diagnostics)

    @property
    def outcome(self) -> str:
        """The words with which the stage ends."""
        summary = self.summary
        if summary is None:
            return "done"
        verbs = ("to add", "to change", "to destroy")
        if summary.operation != "plan":
            verbs = ("added", "changed", "destroyed")
        counts = zip((summary.added, summary.changed, summary.removed), verbs, strict=True)
        return "done, " + ", ".join(f"{count} {verb}" for count, verb in counts)


class Terraform:
    """Terraform in one folder for one environment. Every method raises UserError (Interrupted on Ctrl-C).

    ``directory`` holds the configuration; ``data_dir`` becomes TF_DATA_DIR and must belong to this
    environment alone, for `init` reconfigures the backend that it remembers; each run leaves its raw log in
    ``log_dir``. ``environment`` is added to the shell's, and wins; None takes a variable out. It
    may hold secrets, logs never show it.
    """

    def __init__(
        self,
        directory: Path,
        data_dir: Path,
        log_dir: Path,
        environment: Mapping[str, str | None],
        view: ProgressView,
        environment_name: str,
        executable: str = "terraform",
    ) -> None:
        self._directory = directory.absolute()
        self._log_dir = log_dir
        self._view = view
        self._name = environment_name
        self._executable = find_terraform(executable)
        inherited, self._ignored = clean_environment(os.environ)
        merged = {**inherited, **environment}
        self._environment = {
            **{name: value for name, value in merged.items() if value is not None},
            "TF_DATA_DIR": str(data_dir.absolute()),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",  # no question to HashiCorp whether there is a newer version
        }
        # `state` only keeps the constructor from loading whichever state file lies about: this is none.
        self._builder = CommandBuilder(
            terraform_bin_path=str(self._executable),
            state=f"{os.devnull}/none",
        )

    def version(self) -> Version:
        """Terraform's version and the provider versions its lock file selects; too old a one is an error."""
        document = json.loads(self._capture("version", json=IsFlagged))
        version = Version(
            document.get("terraform_version", ""), document.get("provider_selections") or {}, self._executable
        )
        check_version(version)
        return version

    def init(
        self,
        backend_config: Mapping[str, str] | Sequence[Path] | None,
        migrate_state: bool = False,
    ) -> None:
        """Install providers and set up the backend; None leaves the backend alone (enough to validate).

        ``migrate_state`` copies what the previous backend holds into the new one.
        """
        settings: dict[str, str] | list[str]
        if isinstance(backend_config, Mapping):
            settings = dict(backend_config)
        else:
            settings = [str(path.absolute()) for path in backend_config or ()]
        # Without either, Terraform would ask whether to copy the old backend's state. It refuses -json beside
        # -migrate-state, even when -force-copy answers the question; its text then goes to the log alone.
        mode = ("migrate_state", "force_copy") if migrate_state else ("reconfigure", "json")
        options = {"backend": backend_config is not None, "backend_config": settings, "input": False}
        self._run("init", {**options, **dict.fromkeys(mode, IsFlagged)}, stage=True)

    def validate(self) -> None:
        """Raises UserError naming file and line of what is wrong in the configuration."""

        def judge(seen: _Seen) -> None:
            with suppress(ValueError):  # it crashed instead of answering
                document = json.loads(seen.text)
                seen.diagnostics += [parse_diagnostic(each) for each in document.get("diagnostics", ())]

        self._run("validate", {"json": IsFlagged}, stage=True, streams=False, judge=judge)

    def plan(
        self,
        out: Path,
        var_files: Sequence[Path],
        destroy: bool = False,
        refresh_only: bool = False,
        lock_timeout_seconds: int = 0,
    ) -> PlanOutcome:
        """Save a plan to ``out`` and say what it would do."""
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{out.parent} cannot be made: {error.strerror}.") from error
        seen = self._stream(
            "plan",
            accepted=(0, _CHANGES),
            detailed_exitcode=IsFlagged,
            out=str(out.absolute()),
            var_file=[str(path.absolute()) for path in var_files],
            destroy=IsFlagged if destroy else None,
            refresh_only=IsFlagged if refresh_only else None,
            lock_timeout=f"{lock_timeout_seconds}s",
        )
        out.chmod(0o600)  # it holds every variable and attribute, readable
        review = review_of(seen.changes, seen.drift, seen.outputs)
        return PlanOutcome(seen.status == _CHANGES, review, seen.warnings, seen.log)

    def apply(self, plan: Path, lock_timeout_seconds: int = 0) -> ApplyOutcome:
        """Apply exactly the saved plan, which holds its variables. There is no time limit; the view's
        heartbeat says what has been running for longest."""
        seen = self._stream("apply", str(plan.absolute()), lock_timeout=f"{lock_timeout_seconds}s")
        summary = seen.summary or ChangeSummary("apply", 0, 0, 0)
        return ApplyOutcome(summary.added, summary.changed, summary.removed, seen.warnings, seen.log)

    def output(self) -> dict[str, Any]:
        """Every output's value by name, sensitive ones included; empty before the first apply."""
        document = json.loads(self._capture("output", json=IsFlagged))
        return {name: entry["value"] for name, entry in document.items()}

    def state_list(self) -> list[str]:
        """The addresses in the state; none when there is no state yet."""

        def judge(seen: _Seen) -> None:
            if any("No state file" in each.text for each in seen.diagnostics):
                seen.status = 0

        return self._run("state list", {}, streams=False, judge=judge).text.decode().splitlines()

    def state_remove(self, address: str) -> None:
        """Forget a resource; what it stands for stays as it is."""
        self._run("state rm", {}, address, streams=False)

    def adopt(self, address: str, identifier: str, var_files: Sequence[Path]) -> None:
        """Take a resource that exists, by the provider's identifier of it, into the state (`terraform import`)."""
        files = [str(path.absolute()) for path in var_files]
        self._run("import", {"var_file": files, "input": False}, address, identifier, stage=True)

    def force_unlock(self, lock_id: str) -> None:
        """Release a lock whose holder is dead; an error names the holder when the id is another's."""
        self._run("force-unlock", {"force": IsFlagged}, lock_id, streams=False)

    def _stream(self, command: str, *arguments: str, accepted: Sequence[int] = (0,), **options: Any) -> _Seen:
        """A command that reports events as it goes."""
        options = {**options, "json": IsFlagged, "input": False}
        return self._run(command, options, *arguments, stage=True, accepted=accepted)

    def _capture(self, command: str, *arguments: str, **options: Any) -> bytes:
        """The whole output of a command that prints one document; it may hold secrets and is not logged."""
        return bytes(self._run(command, options, *arguments, streams=False).text)

    def _run(
        self,
        command: str,
        options: Mapping[str, Any],
        *arguments: str,
        stage: bool = False,
        streams: bool = True,
        accepted: Sequence[int] = (0,),
        judge: Callable[[_Seen], None] | None = None,
    ) -> _Seen:
        argv = self._command_line(command, options, arguments)
        log = RunLog(self._log_dir, command, argv)
        context = self._context(command, log.path)
        seen = _Seen(log=log.path)
        self._say_what_is_ignored()
        if stage:
            self._show(self._view.started, command)
        outcome = "failed"
        try:
            listener = self._listener(seen, streams, stage)
            ended = run(argv, self._directory, self._environment, log, listener, log_stdout=streams)
            if ended.interrupts:
                outcome = "interrupted"
                raise Interrupted(command, self._name, hard=ended.interrupts > 1)
            seen.status = ended.status
            if ended.status not in accepted and not seen.failed:
                seen.diagnostics += parse_text_diagnostics(ended.error_lines)
            if judge is not None:
                judge(seen)
            if seen.status not in accepted:
                raise explain(seen.diagnostics, context) if seen.failed else unexplained(seen.status, context)
            seen.warnings = tuple(warnings(seen.diagnostics, context))
            outcome = seen.outcome
        finally:
            if stage:
                self._show(self._view.finished, outcome)
        for warning in seen.warnings:
            self._show(self._view.notice, warning)
        return seen

    def _command_line(self, command: str, options: Mapping[str, Any], arguments: Sequence[str]) -> list[str]:
        words = self._builder.generate_cmd_string(command, *arguments, no_color=IsFlagged, **options)
        return [str(word) for word in words]

    def _listener(self, seen: _Seen, streams: bool, stage: bool) -> Listener:
        def line(raw: bytes) -> None:
            if not streams:
                seen.text += raw + b"\n"
                return
            event = parse_line(raw)
            if event is not None:
                seen.add(event)
                self._show(self._view.event, event)

        def interrupted(count: int) -> None:
            self._show(self._view.notice, _INTERRUPT_TEXTS[min(count, len(_INTERRUPT_TEXTS)) - 1])

        def log_failed(error: OSError) -> None:
            text = f"warning: the log {seen.log} is cut short ({error.strerror}); Terraform carries on."
            self._show(self._view.notice, text)

        def tick() -> None:
            if stage:
                self._show(self._view.tick)

        return Listener(line, tick, interrupted, log_failed)

    def _show(self, call: Callable[..., None], *arguments: object) -> None:
        """A terminal or pipe that went away must not stop Terraform half-way: go on unseen."""
        try:
            call(*arguments)
        except OSError:
            self._view = NoProgress()

    def _say_what_is_ignored(self) -> None:
        if self._ignored:
            names = ", ".join(self._ignored)
            self._ignored = []
            self._show(self._view.notice, f"warning: ignored from the shell's environment: {names}")

    def _context(self, command: str, log: Path) -> Context:
        endpoint = self._environment.get("AWS_ENDPOINT_URL", "")
        return Context(self._name, command, self._directory, log, endpoint)


_INTERRUPT_TEXTS = (
    "Stopping after the operations in flight; the state lock is released then. Press Ctrl-C again to force.",
    "Stopping now: what is in flight may be missing from the state.",
    "Killing Terraform.",
)
