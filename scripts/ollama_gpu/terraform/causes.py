"""The known causes of a failed Terraform run, each with a remedy.

The patterns match the output of Terraform 1.11 and its AWS provider 5.100. For AWS's errors they match only the error
codes, which do not change.
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
    """The facts about a run that the messages contain."""

    environment: str
    command: str
    directory: Path
    log: Path
    endpoint: str = ""

    @property
    def embedded(self) -> bool:
        return (urlsplit(self.endpoint).hostname or "") in ("127.0.0.1", "::1", "localhost")


Explanation = tuple[str, str]  # message and remedy


@dataclass(frozen=True)
class _Cause:
    """A cause of a failed run, regardless of how many diagnostics it produced."""

    pattern: re.Pattern[str]
    explain: Callable[[re.Match[str], Context], Explanation]


def _lock_held(match: re.Match[str], context: Context) -> Explanation:
    held = dict(re.findall(r"^\s*(ID|Operation|Who|Created):[ \t]*(.*?)\s*$", match.group(), re.MULTILINE))
    operation = held.get("Operation", "").removeprefix("OperationType").lower() or "a run"
    created = re.sub(r"\.\d+| \+0000", "", held.get("Created", ""))
    return (
        f"The state of {context.environment} is locked by {held.get('Who', 'an unknown user')}: {operation}, since "
        f"{created} (lock {held.get('ID', 'unknown')}).",
        "Wait for that run to end. Only if it is no longer running, release the lock: "
        f"make unlock ENV={context.environment} LOCK={held.get('ID', '<id>')}",
    )


def _no_lock(_match: re.Match[str], context: Context) -> Explanation:
    return f"The state of {context.environment} is not locked.", "No lock needs to be released."


def _no_bucket(match: re.Match[str], context: Context) -> Explanation:
    name = next((group for group in match.groups() if group), "")
    which = f"The state bucket {name}" if name else "The state bucket"
    remedy = f"Create it, once per account and region: make bootstrap ENV={context.environment}"
    return f"{which} does not exist.", remedy


def _credentials_missing(_match: re.Match[str], context: Context) -> Explanation:
    return (
        f"There are no AWS credentials for {context.environment}.",
        "Set AWS_PROFILE (after `aws sso login`), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. "
        f"`make doctor ENV={context.environment}` shows which credentials are found.",
    )


def _credentials_expired(_match: re.Match[str], context: Context) -> Explanation:
    return (
        f"The AWS credentials for {context.environment} have expired.",
        "Sign in again (`aws sso login`, or get new keys), then run the command again.",
    )


def _credentials_refused(match: re.Match[str], context: Context) -> Explanation:
    return (
        f"AWS rejected the credentials for {context.environment} ({match.group().strip()}).",
        "Check AWS_PROFILE, the keys, and this machine's clock (signatures are valid for minutes only). "
        f"`make doctor ENV={context.environment}` shows which credentials are found.",
    )


def _registry_unreachable(match: re.Match[str], _context: Context) -> Explanation:
    return (
        f"The provider {match.group(1)} is not available: no mirror on this machine contains it, and the registry is "
        "not reachable.",
        f"Connect to the internet, or copy a mirror (created with `terraform providers mirror FOLDER`) to this machine "
        f"and set {MIRROR_VARIABLE}=FOLDER.",
    )


def _provider_lacking(match: re.Match[str], _context: Context) -> Explanation:
    return (
        f"The provider {match.group(1)} is not available in the required version: {' '.join(match.group(2).split())}",
        f"Create a mirror with that version (`terraform providers mirror FOLDER`) and set {MIRROR_VARIABLE}=FOLDER.",
    )


def _provider_unknown(match: re.Match[str], context: Context) -> Explanation:
    return (
        f"The checksum of the provider {match.group(1)} {match.group(2)} on this machine is not in "
        f"{context.directory / '.terraform.lock.hcl'}.",
        "If you trust the mirror, record its checksums: "
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
    message = f"AWS is not reachable at {address}: {reason.group() if reason else 'no response'}."
    if context.embedded:
        return message, f"The embedded AWS is not running. Start it: make deploy ENV={context.environment}"
    pinned = f" Check whether AWS_ENDPOINT_URL should be {context.endpoint}." if context.endpoint else ""
    return message, f"Check this machine's network and proxy, and the name of the region.{pinned}"


def _stale_plan(_match: re.Match[str], context: Context) -> Explanation:
    return (
        "The plan was not applied, because the state has changed since the plan was created.",
        f"Create a new plan: make plan ENV={context.environment}",
    )


def _state_not_saved(_match: re.Match[str], context: Context) -> Explanation:
    rescued = context.directory / "errored.tfstate"
    return (
        "Terraform could not save the state after changing resources.",
        f"Keep {rescued}: it is the only record of these changes. When the bucket is reachable again, run "
        f"`terraform state push {rescued.name}` before anything else. docs/troubleshooting.md has the full command.",
    )


def _exists_already(match: re.Match[str], context: Context) -> Explanation:
    return (
        f"The resource exists, but is not in the state of {context.environment}: {match.string.splitlines()[0]}",
        "It was created by an interrupted run or outside Terraform. Delete it, or import it with `terraform import`, "
        "then run the command again.",
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
# The first cause that matches any diagnostic explains the run. A registry failure also contains "dial tcp".
_CAUSES = tuple(_Cause(re.compile(pattern, re.DOTALL), explain) for pattern, explain in _REASONS)


def cause_of(errors: Sequence[Diagnostic], context: Context) -> Explanation | None:
    """The message and remedy of the known cause of these errors, or None."""
    for cause in _CAUSES:
        for each in errors:
            match = cause.pattern.search(each.text)
            if match:
                return cause.explain(match, context)
    return None
