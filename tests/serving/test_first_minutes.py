"""What a newcomer sees of the first deploy: its plan, lines that move, and no alarm."""

from __future__ import annotations

import itertools
import re
from datetime import datetime

import pytest

from tests.serving.conftest import Serving

SILENCE_SECONDS = 30
LINE = re.compile(r"^\[ ?(\d+):(\d\d)\] (.*)$", re.MULTILINE)


@pytest.fixture
def lines(serving: Serving) -> list[tuple[int, str]]:
    """Seconds since the start, and text, of each line of the deploy's log."""
    if not serving.log:
        pytest.skip("ENV=local ran before the tests, so that there is no log of its deploy")
    return [(60 * int(minutes) + int(seconds), text) for minutes, seconds, text in LINE.findall(serving.log)]


def test_log_is_never_silent_for_long(lines: list[tuple[int, str]]) -> None:
    silences = [(after[0] - before[0], before[1]) for before, after in itertools.pairwise(lines)]
    assert max(silences)[0] <= SILENCE_SECONDS, max(silences)


def test_log_begins_with_the_plan_and_announces_every_step(lines: list[tuple[int, str]]) -> None:
    texts = [text for _, text in lines]
    assert any(text.startswith("ENV=local: 6 steps, ") for text in texts[:2]), texts[:2]
    announced = [int(found[1]) for text in texts if (found := re.match(r"step (\d) of 6: ", text))]
    assert announced == [1, 2, 3, 4, 5, 6]


def test_no_alarm_of_users_fired_during_the_deploy(serving: Serving, lines: list[tuple[int, str]]) -> None:
    events = serving.driver.run("events", "--env", "local", "--since", "2h", "--json").json
    fired = [each for each in events if each["kind"] == "alarm" and "to ALARM" in each["what"]]
    assert serving.deployed_at is not None
    during = [each for each in fired if datetime.fromisoformat(each["time"]) <= serving.deployed_at]
    assert lines
    assert not [each for each in during if each["about"].endswith(("no-healthy-host", "service-degraded"))]
