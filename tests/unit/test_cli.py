"""Every error that a user can cause ends in a sentence and exit status 1 or 2."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, NoCredentialsError

from ollama_gpu import cli
from ollama_gpu.errors import UserError


def raising(error: BaseException) -> Callable[[], None]:
    def app() -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (UserError("No such thing.", "Make one."), 1, "error: No such thing.\nMake one."),
        (UserError("Wrong word.", "Right it.", status=2), 2, "error: Wrong word."),
        (NoCredentialsError(), 1, "No AWS credentials"),
        (ConnectTimeoutError(endpoint_url="https://sts.example"), 1, "call to AWS failed"),
        (ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadBucket"), 1, "AWS denies HeadBucket"),
        (OSError(28, "No space left on device", "/var/plan"), 1, "No space left on device (/var/plan)"),
        (KeyboardInterrupt(), 130, "Interrupted"),
    ],
)
def test_an_error_is_a_sentence_and_a_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, status: int, says: str
) -> None:
    monkeypatch.setattr(cli, "app", raising(error))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == status
    assert says in capsys.readouterr().err


def test_a_defect_of_ours_is_not_dressed_up_as_the_users_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "app", raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        cli.main()


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("ollama_gpu.cli", ["boto3", "moto", "pydantic", "hcl2", "rich"]),  # for --help
        ("ollama_gpu.deploy", ["moto", "cryptography", "jinja2"]),
    ],
)
def test_what_every_command_loads_is_nothing_heavy(module: str, heavy: list[str]) -> None:
    look = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
