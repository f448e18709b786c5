"""The known causes of a failed Terraform run, and what to do about each.

The patterns are taken from what Terraform 1.11 and its AWS provider 5.100 print; of AWS's own errors only
the codes are used, which do not change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ollama_gpu.terraform.events import Diagnostic
from ollama_gpu.terraform.installation import MIRROR_VARIABLE


@dataclass(frozen=True)
class Context:
    """What the texts need to know about the run."""

    environment: str
    command: str
    directory: Path
    log: Path
    endpoint: str = ""

    @property
    def embedded(self) -> bool:
        return (urlsplit(self.endpoint).hostname or "") in ("127.0.0.1", "::1", "localhost")


Explanation = tuple[str, str]  # what was seen, and the remedy


@dataclass(frozen=True)
class _Cause:
    """A cause that explains the whole run, however many diagnostics it made."""

    pattern: re.Pattern[str]
    explain: Callable[[re.Match[str], Context], Explanation]


def _lock_held(match: re.Match[str], context: Context) -> Explanation:
    held = dict(re.findall(r"^\s*(ID|Operation|Who|Created):[ \t]*(.*?)\s*$", match.group(), re.MULTILINE))
    operation = held.get("Operation", "").removeprefix("OperationType").lower() or "a run"
    created = re.sub(r"\.\d+| \+0000", "", held.get("Created", ""))
    return (
        f"The state of {context.environment} is locked by {held.get('Who', 'someone')}: {operation}, since "
        f"{created} (lock {held.get('ID', 'unknown')}).",
        "Wait for that run to end. Only if it is dead, release its lock: "
        f"make unlock ENV={context.environment} LOCK={held.get('ID', '<id>')}",
    )


def _no_lock(_match: re.Match[str], context: Context) -> Explanation:
    return f"The state of {context.environment} is not locked.", "There is nothing to release."


def _no_bucket(match: re.Match[str], context: Context) -> Explanation:
    name = next((group for group in match.groups() if group), "")
    which = f"The state bucket {name}" if name else "The state bucket"
    remedy = f"Make it, once per account and region: make bootstrap ENV={context.environment}"
    return f"{which} does not exist.", remedy


def _credentials_missing(_match: re.Match[str], context: Context) -> Explanation:
    return (
        f"There are no AWS credentials for {context.environment}.",
        "Set AWS_PROFILE (after `aws sso login`), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; "
        f"`make doctor ENV={context.environment}` shows what is found.",
    )


def _credentials_expired(_match: re.Match[str], context: Context) -> Explanation:
    return (
        f"The AWS credentials for {context.environment} have expired.",
        "Log in again (`aws sso login`, or fetch fresh keys) and repeat the command.",
    )


def _credentials_refused(match: re.Match[str], context: Context) -> Explanation:
    return (
        f"AWS refused the credentials for {context.environment} ({match.group().strip()}).",
        "Check AWS_PROFILE and the keys, and the clock of this machine (signatures are valid for minutes); "
        f"`make doctor ENV={context.environment}` shows what is found.",
    )


def _registry_unreachable(match: re.Match[str], _context: Context) -> Explanation:
    return (
        f"The provider {match.group(1)} cannot be had: no mirror on this machine holds it, and the registry "
        "cannot be reached.",
        f"Go online, or bring a mirror (made by `terraform providers mirror FOLDER`) and name it: "
        f"{MIRROR_VARIABLE}=FOLDER make ...",
    )


def _provider_lacking(match: re.Match[str], _context: Context) -> Explanation:
    return (
        f"The provider {match.group(1)} cannot be had in the version needed: {' '.join(match.group(2).split())}",
        f"A mirror must hold that version: make one with `terraform providers mirror FOLDER` and name it: "
        f"{MIRROR_VARIABLE}=FOLDER make ...",
    )


def _provider_unknown(match: re.Match[str], context: Context) -> Explanation:
    return (
        f"The provider {match.group(1)} {match.group(2)} here is not the one recorded in "
        f"{context.directory / '.terraform.lock.hcl'}.",
        "If you trust the mirror, record what it holds: "
        f"terraform -chdir={context.directory} providers lock -fs-mirror=FOLDER",
    )


def _unreachable(match: re.Match[str], context: Context) -> Explanation:
    where = re.search(r'"(https?://[^/"]+)', match.group())
    reason = re.search(
        r"connection refused|no such host|i/o timeout|deadline exceeded|network is unreachable"
        r"|x509: [^\n]*|TLS handshake timeout|connection reset|no route to host|EOF",
        match.group(),
    )
    address = where.group(1) if where else context.endpoint or "its endpoint"
    message = f"AWS cannot be reached at {address}: {reason.group() if reason else 'no answer'}."
    if context.embedded:
        return message, f"The embedded AWS is not running: make deploy ENV={context.environment} starts it."
    pinned = f" AWS_ENDPOINT_URL is set to {context.endpoint}: is that meant?" if context.endpoint else ""
    return message, f"Check this machine's network, proxy and the region's name.{pinned}"


def _stale_plan(_match: re.Match[str], context: Context) -> Explanation:
    return (
        "The state has changed since this plan was made, so it was not applied.",
        f"Plan again: make plan ENV={context.environment}",
    )


def _state_not_saved(_match: re.Match[str], context: Context) -> Explanation:
    rescued = context.directory / "errored.tfstate"
    return (
        "Terraform could not save the state after changing things.",
        f"Keep {rescued}: it is the only record of them. When the bucket can be reached again, run "
        f"`terraform state push {rescued.name}` before anything else; docs/operations.md has the whole command.",
    )


def _exists_already(match: re.Match[str], context: Context) -> Explanation:
    return (
        f"It exists, but is not in the state of {context.environment}: {match.string.splitlines()[0]}",
        "An interrupted run made it, or somebody else did. Delete it, or take it over with `terraform import`; "
        "then repeat the command.",
    )


_REASONS = (
    (r"(?:Failed to save|Failed to persist|Error saving) state", _state_not_saved),
    (r"(?:Error acquiring the state lock|Failed to unlock state).*?Lock Info:.*", _lock_held),
    (r"Failed to unlock state.*(?:NoSuchKey|not locked)", _no_lock),
    (r"Saved plan is stale", _stale_plan),
    (r"for provider\s+(\S+): could not\s+connect to", _registry_unreachable),
    (r"installing (\S+) v\S+: .*?(?:dial tcp|request failed|Client\.Timeout)", _registry_unreachable),
    (r"installing (\S+) v(\S+): the local package .*? doesn't match any of", _provider_unknown),
    (r"for provider\s+(\S+): (.*?)(?:\n\n|$)", _provider_lacking),
    (r'S3 bucket "([^"]*)" does not exist|NoSuchBucket', _no_bucket),
    (
        r"ExpiredToken|RequestExpired|[Tt]oken (?:included in the request )?(?:is|has) expired"
        r"|SSO (?:session|[Tt]oken).{0,80}?(?:expired|invalid)|refresh cached SSO token",
        _credentials_expired,
    ),
    (
        r"InvalidClientTokenId|UnrecognizedClientException|SignatureDoesNotMatch|InvalidAccessKeyId"
        r"|AuthFailure|failed to get shared config profile[^\n]*",
        _credentials_refused,
    ),
    (
        r"[Nn]o valid credential sources|NoCredentialProviders|failed to refresh cached credentials",
        _credentials_missing,
    ),
    (
        r"EntityAlreadyExists|InvalidGroup\.Duplicate|BucketAlreadyOwnedByYou|AlreadyExists(?:Exception|Fault)?\b"
        r"|Duplicate\w+Name|ResourceExistsException",
        _exists_already,
    ),
    (r"request send failed.*|dial tcp.*", _unreachable),
)
# The first that matches any diagnostic explains the run; a registry failure also says "dial tcp".
_CAUSES = tuple(_Cause(re.compile(pattern, re.DOTALL), explain) for pattern, explain in _REASONS)


def cause_of(errors: Sequence[Diagnostic], context: Context) -> Explanation | None:
    """The message and remedy of the known cause behind these errors, if there is one."""
    for cause in _CAUSES:
        for each in errors:
            match = cause.pattern.search(each.text)
            if match:
                return cause.explain(match, context)
    return None
