"""Turn Terraform's diagnostics into one user error with a remedy."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from pathlib import Path

from ollama_gpu.core.errors import UserError
from ollama_gpu.terraform.causes import Context, cause_of
from ollama_gpu.terraform.events import Diagnostic

_SHOWN = 3
_INTERRUPTED_STATUS = 128 + signal.SIGINT


class Interrupted(UserError):
    """The run was stopped by Ctrl-C, SIGTERM or SIGHUP; exit status 130. Do not explain or retry it."""

    def __init__(self, command: str, environment: str, hard: bool) -> None:
        message, remedy = f"terraform {command} was stopped.", ""
        if hard:
            message = f"terraform {command} was stopped immediately. The state may still be locked."
            remedy = f"If so, `make plan ENV={environment}` shows the lock's holder."
        if command == "apply":
            message += (
                " Resources that were being created or changed may be missing from the state."
                if hard
                else " Completed changes are in the state, and the state lock is released."
            )
            remedy = remedy or f"To continue, run: make deploy ENV={environment}"
        super().__init__(message, remedy, status=_INTERRUPTED_STATUS)


# These follow the real cause; show them only if there is no other error.
_NOISE = re.compile(r"execution halted|Terraform encountered problems during initiali[sz]ation")
# Every installation from a mirror reports this: a mirror has checksums for this machine's platform only.
_EXPECTED = frozenset({"Incomplete lock file information for providers"})
_PARAGRAPH = "\n\n"
_NO_VALUE = "No value for required variable"
_INVALID = "Invalid value for variable"
_WRONG_TYPE = "Invalid value for input variable"
_NO_FILE = "Failed to read variables file"
_CHECKED_BY = re.compile(r"\s*This was checked by the validation rule at .*$", re.DOTALL)


def explain(diagnostics: Sequence[Diagnostic], context: Context) -> UserError:
    """One error for a run that failed with these diagnostics, at least one of which is an error."""
    errors = _distinct(diagnostics)
    known = cause_of(errors, context)
    if known is not None:
        message, remedy = known
        return UserError(message, f"{remedy}\n{_log_line(context)}")
    requested = all(_is_request(each) for each in errors)
    shown = [_describe(each, context) for each in errors[:_SHOWN]]
    if len(errors) == 1 and requested:
        return UserError(shown[0], status=2)
    left = len(errors) - _SHOWN
    if left > 0:
        shown.append(f"... and {left} more {'error' if left == 1 else 'errors'}.")
    return UserError("\n".join(shown), _log_line(context), status=2 if requested else 1)


def unexplained(status: int, context: Context) -> UserError:
    """The error for a run that failed without a diagnostic (killed, crashed)."""
    if status < 0:
        name = signal.Signals(-status).name
        hint = " The kernel does this when memory runs out." if name == "SIGKILL" else ""
        return UserError(f"terraform {context.command} was terminated by {name}.{hint}", _log_line(context))
    return UserError(f"terraform {context.command} failed with status {status} without an error.", _log_line(context))


def warnings(diagnostics: Sequence[Diagnostic], context: Context) -> list[str]:
    """The distinct warnings, one line each: summary and first paragraph."""
    found = [each for each in diagnostics if not each.is_error and each.summary not in _EXPECTED]
    lines = [
        f"warning: {each.summary}: {_one_line(each.detail.split(_PARAGRAPH)[0])}{_place(each, context)}"
        for each in found
    ]
    return list(dict.fromkeys(lines))


def _distinct(diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    errors = list(dict.fromkeys(each for each in diagnostics if each.is_error))
    relevant = [each for each in errors if not _NOISE.match(each.summary)]
    return relevant or errors


def _is_request(each: Diagnostic) -> bool:
    """Whether the request is invalid (variables, conditions), as opposed to a failed operation."""
    return (
        each.filename.endswith((".tfvars", ".tfvars.json"))
        or each.summary in (_NO_VALUE, _INVALID, _WRONG_TYPE, _NO_FILE)
        or each.summary.endswith("precondition failed")
    )


def _describe(each: Diagnostic, context: Context) -> str:
    place = _place(each, context)
    if each.summary == _NO_VALUE:
        return f"The variable {each.variable} has no value. Set it for {context.environment}{place}."
    if each.summary == _INVALID:
        name = f"{each.variable}: " if each.variable else ""
        return f"{name}{_CHECKED_BY.sub('', each.detail)}{place}"
    if each.summary == _WRONG_TYPE or each.summary.endswith("precondition failed"):
        return f"{each.detail}{place}"
    if each.summary == _NO_FILE:
        return each.detail
    named = each.address and each.address not in each.summary
    head = f"{each.address}: {each.summary}" if named else each.summary
    detail = "".join(f"\n  {line}" for line in each.detail.splitlines() if line.strip())
    return f"{head}{place}{detail}"


def _place(each: Diagnostic, context: Context) -> str:
    if not each.filename:
        return ""
    path = context.directory / each.filename
    for base in (Path.cwd(), context.directory.parent):
        if path.is_relative_to(base):
            path = path.relative_to(base)
            break
    return f" ({path}:{each.line})"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _log_line(context: Context) -> str:
    return f"Terraform's log: {context.log}"
