"""The loss of database and uploads, rehearsed by the command: everything is destroyed and restored by content."""

from __future__ import annotations

from tests.serving.conftest import Serving
from tests.serving.fleet import WHOLE_SECONDS, until, whole


def test_the_drill_restores_users_chats_and_files(serving: Serving) -> None:
    until(lambda: whole(serving), "whole fleet", WHOLE_SECONDS)  # an earlier test may have ended an instance
    before = serving.instances()
    drilled = serving.driver.make("drill", "ENV=local", "JSON=1", seconds=900)
    assert drilled.status == 0, drilled.err
    report = drilled.json
    print(report)
    assert report["proved"] == {"users": 2, "chats": 6, "files": 1}
    assert report["destroyed_objects"] >= 1
    assert 0 < report["recovery_point_age_seconds"] < 300
    assert 0 < report["recovery_time_seconds"] < 600
    assert serving.instances() == before, "an instance was replaced because it had no database"
    plan = serving.driver.run("plan", "--env", "local", "--json")
    assert plan.json["changes"] is False, plan.json
