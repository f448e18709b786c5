"""The lab's follower when it does not run or cannot start."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollama_gpu.core.errors import UserError
from ollama_gpu.local.lab.follower import Follower


def test_empty_folder_has_no_follower(tmp_path: Path) -> None:
    assert Follower(tmp_path).running() is None
    assert Follower(tmp_path).stop() is False


def test_follower_that_cannot_start_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no environment"):
        Follower(tmp_path).start("no-such-environment")
    assert Follower(tmp_path).running() is None
