"""Errors that a user can cause end as a sentence and exit status 1 or 2."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, NoCredentialsError

from ollama_gpu.cli import app as cli
from ollama_gpu.core.errors import UserError


def raising(error: BaseException) -> Callable[[], None]:
    def app() -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (UserError("No such thing.", "Make one."), 1, "error: No such thing.\nMake one."),
        (UserError("Wrong option.", "Correct it.", status=2), 2, "error: Wrong option."),
        (NoCredentialsError(), 1, "No AWS credentials"),
        (ConnectTimeoutError(endpoint_url="https://sts.example"), 1, "call to AWS failed"),
        (ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadBucket"), 1, "AWS denies HeadBucket"),
        (OSError(28, "No space left on device", "/var/plan"), 1, "No space left on device (/var/plan)"),
        (KeyboardInterrupt(), 130, "Interrupted"),
    ],
)
def test_user_error_ends_as_sentence_and_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, status: int, message: str
) -> None:
    monkeypatch.setattr(cli, "app", raising(error))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == status
    assert message in capsys.readouterr().err


def test_bug_is_raised_with_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "app", raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        cli.main()


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("ollama_gpu.cli.app", ["boto3", "moto", "pydantic", "hcl2", "rich"]),  # for --help
        ("ollama_gpu.deploy.steps", ["moto", "cryptography", "jinja2"]),
    ],
)
def test_module_loads_no_heavy_library(module: str, heavy: list[str]) -> None:
    program = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
