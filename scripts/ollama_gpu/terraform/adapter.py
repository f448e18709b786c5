"""A typed interface to Terraform. Only this module uses python-terraform.

python-terraform 0.10.1 is used only to build command lines, because its runner:

- buffers all output until the end (no progress for minutes, all of it in memory)
- cannot forward an interrupt
- reports failure as a tuple
- adds `-force` to destroy, which Terraform refuses
- waits for an approval in apply
- silently lets `var_file` override `variables`
- runs any misspelt method as a command
- loads whatever state file it finds

So this module calls `generate_cmd_string` with explicit options and runs the result (a list, despite the name) with
terraform.process. Two traps remain: only an exact `list` or `dict` option is expanded, and a `dict` other than
`backend_config` becomes a temporary file of variables that python-terraform never removes.
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

from ollama_gpu.core.errors import UserError
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
from ollama_gpu.terraform.installation import Version, clean_environment, find_terraform, read_version
from ollama_gpu.terraform.log import RunLog
from ollama_gpu.terraform.process import Listener, run
from ollama_gpu.terraform.progress import NoProgress, ProgressView
from ollama_gpu.terraform.review import PlanReview, review_of

_CHANGES = 2  # exit status of -detailed-exitcode: the plan succeeded and has changes


@dataclass(frozen=True)
class PlanOutcome:
    """A plan that succeeded: ``changes`` is from Terraform's exit status, ``review`` from its events."""

    changes: bool
    review: PlanReview


@dataclass
class _Result:
    """The events, output and exit status of one run."""

    diagnostics: list[Diagnostic] = field(default_factory=list)
    changes: list[ResourceChange] = field(default_factory=list)
    drift: list[ResourceDrift] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    summary: ChangeSummary | None = None
    text: bytearray = field(default_factory=bytearray)
    status: int = 0

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
        """The stage's result, as the progress view shows it."""
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

    ``directory`` contains the configuration. ``data_dir`` becomes TF_DATA_DIR; environments must not share it, because
    `init` reconfigures the backend that it records. Each run writes its raw log to ``log_dir``. ``environment``
    extends and overrides the shell's environment; None removes a variable. It may contain secrets and is never logged.
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
            "CHECKPOINT_DISABLE": "1",  # no request to HashiCorp for a newer version
        }
        # A `state` that does not exist keeps the constructor from loading any state file that it finds.
        self._builder = CommandBuilder(
            terraform_bin_path=str(self._executable),
            state=f"{os.devnull}/none",
        )

    def version(self) -> Version:
        """Return Terraform's version and the provider versions that its lock file selects.

        Raises UserError if Terraform is too old.
        """
        return read_version(self._capture("version", json=IsFlagged), self._executable)

    def init(
        self,
        backend_config: Mapping[str, str],
        migrate_state: bool = False,
    ) -> None:
        """Install providers and configure the backend.

        ``migrate_state`` copies the state of the previous backend to the new one.
        """
        # With neither mode, Terraform asks whether to copy the old backend's state. It refuses -json together with
        # -migrate-state, even if -force-copy answers the question; its text output then goes to the log only.
        mode = ("migrate_state", "force_copy") if migrate_state else ("reconfigure", "json")
        options = {"backend": True, "backend_config": dict(backend_config), "input": False}
        self._run("init", {**options, **dict.fromkeys(mode, IsFlagged)}, stage=True)

    def validate(self) -> None:
        """Validate the configuration. Raises UserError with file and line of each error."""

        def read_diagnostics(result: _Result) -> None:
            with suppress(ValueError):  # Terraform crashed and printed no JSON
                document = json.loads(result.text)
                result.diagnostics += [parse_diagnostic(each) for each in document.get("diagnostics", ())]

        self._run("validate", {"json": IsFlagged}, stage=True, streams=False, inspect=read_diagnostics)

    def plan(
        self,
        out: Path,
        var_files: Sequence[Path],
        destroy: bool = False,
    ) -> PlanOutcome:
        """Save a plan to ``out`` and return its review."""
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"Cannot create {out.parent}: {error.strerror}.") from error
        result = self._stream(
            "plan",
            accepted=(0, _CHANGES),
            detailed_exitcode=IsFlagged,
            out=str(out.absolute()),
            var_file=[str(path.absolute()) for path in var_files],
            destroy=IsFlagged if destroy else None,
        )
        out.chmod(0o600)  # the file contains every variable and attribute in clear text
        review = review_of(result.changes, result.drift, result.outputs)
        return PlanOutcome(result.status == _CHANGES, review)

    def apply(self, plan: Path) -> None:
        """Apply exactly the saved plan, which includes its variables.

        There is no time limit. The view's heartbeat names the operation that has been running longest.
        """
        self._stream("apply", str(plan.absolute()))

    def output(self) -> dict[str, Any]:
        """The value of every output by name, including sensitive ones; empty before the first apply."""
        document = json.loads(self._capture("output", json=IsFlagged))
        return {name: entry["value"] for name, entry in document.items()}

    def state_list(self) -> list[str]:
        """The resource addresses in the state; empty if there is no state yet."""

        def accept_missing_state(result: _Result) -> None:
            if any("No state file" in each.text for each in result.diagnostics):
                result.status = 0

        return self._run("state list", {}, streams=False, inspect=accept_missing_state).text.decode().splitlines()

    def state_remove(self, address: str) -> None:
        """Remove a resource from the state; the object in AWS is not changed."""
        self._run("state rm", {}, address, streams=False)

    def import_resource(self, address: str, identifier: str, var_files: Sequence[Path]) -> None:
        """Import an existing resource into the state by the provider's import ID (`terraform import`)."""
        files = [str(path.absolute()) for path in var_files]
        self._run("import", {"var_file": files, "input": False}, address, identifier, stage=True)

    def force_unlock(self, lock_id: str) -> None:
        """Release the lock of a run that no longer exists. If the ID does not match, the error names the holder."""
        self._run("force-unlock", {"force": IsFlagged}, lock_id, streams=False)

    def _stream(self, command: str, *arguments: str, accepted: Sequence[int] = (0,), **options: Any) -> _Result:
        """Run a command that prints JSON events while it works."""
        options = {**options, "json": IsFlagged, "input": False}
        return self._run(command, options, *arguments, stage=True, accepted=accepted)

    def _capture(self, command: str, *arguments: str, **options: Any) -> bytes:
        """Return the output of a command that prints one document. It may contain secrets and is not logged."""
        return bytes(self._run(command, options, *arguments, streams=False).text)

    def _run(
        self,
        command: str,
        options: Mapping[str, Any],
        *arguments: str,
        stage: bool = False,
        streams: bool = True,
        accepted: Sequence[int] = (0,),
        inspect: Callable[[_Result], None] | None = None,
    ) -> _Result:
        argv = self._command_line(command, options, arguments)
        log = RunLog(self._log_dir, command, argv)
        context = self._context(command, log.path)
        result = _Result()
        self._report_ignored_variables()
        if stage:
            self._show(self._view.started, command)
        outcome = "failed"
        try:
            listener = self._listener(result, streams, stage, log.path)
            ended = run(argv, self._directory, self._environment, log, listener, log_stdout=streams)
            if ended.interrupts:
                outcome = "interrupted"
                raise Interrupted(command, self._name, hard=ended.interrupts > 1)
            result.status = ended.status
            if ended.status not in accepted and not result.failed:
                result.diagnostics += parse_text_diagnostics(ended.error_lines)
            if inspect is not None:
                inspect(result)
            if result.status not in accepted:
                raise explain(result.diagnostics, context) if result.failed else unexplained(result.status, context)
            messages = warnings(result.diagnostics, context)
            outcome = result.outcome
        finally:
            if stage:
                self._show(self._view.finished, outcome)
        for message in messages:
            self._show(self._view.notice, message)
        return result

    def _command_line(self, command: str, options: Mapping[str, Any], arguments: Sequence[str]) -> list[str]:
        words = self._builder.generate_cmd_string(command, *arguments, no_color=IsFlagged, **options)
        return [str(word) for word in words]

    def _listener(self, result: _Result, streams: bool, stage: bool, log: Path) -> Listener:
        def line(raw: bytes) -> None:
            if not streams:
                result.text += raw + b"\n"
                return
            event = parse_line(raw)
            if event is not None:
                result.add(event)
                self._show(self._view.event, event)

        def interrupted(count: int) -> None:
            self._show(self._view.notice, _INTERRUPT_TEXTS[min(count, len(_INTERRUPT_TEXTS)) - 1])

        def log_failed(error: OSError) -> None:
            text = f"warning: the log {log} is incomplete ({error.strerror}); Terraform continues."
            self._show(self._view.notice, text)

        def tick() -> None:
            if stage:
                self._show(self._view.tick)

        return Listener(line, tick, interrupted, log_failed)

    def _show(self, call: Callable[..., None], *arguments: object) -> None:
        """Call the view; if its terminal or pipe is gone, continue without output rather than stop Terraform."""
        try:
            call(*arguments)
        except OSError:
            self._view = NoProgress()

    def _report_ignored_variables(self) -> None:
        if self._ignored:
            names = ", ".join(self._ignored)
            self._ignored = []
            self._show(self._view.notice, f"warning: ignored these environment variables: {names}")

    def _context(self, command: str, log: Path) -> Context:
        endpoint = self._environment.get("AWS_ENDPOINT_URL", "")
        return Context(self._name, command, self._directory, log, endpoint)


_INTERRUPT_TEXTS = (
    "Stopping after the running operations, then releasing the state lock. Press Ctrl-C again to stop immediately.",
    "Stopping immediately: resources that are being created or changed may be missing from the state.",
    "Killing Terraform.",
)
