"""The review of a plan: its changes and the data at risk."""

from __future__ import annotations

import json

import pytest

from ollama_gpu.terraform.events import ResourceChange, ResourceDrift
from ollama_gpu.terraform.review import holds_data, review_of

CHANGES = [
    ResourceChange("module.data.aws_db_instance.this", "aws_db_instance", "replace", "cannot_update"),
    ResourceChange("module.fleet.aws_launch_template.this", "aws_launch_template", "update"),
    ResourceChange("module.data.aws_s3_bucket.uploads", "aws_s3_bucket", "delete", "delete_because_no_resource_config"),
    ResourceChange("module.data.aws_s3_bucket_policy.uploads", "aws_s3_bucket_policy", "delete"),
    ResourceChange("module.edge.aws_lb.this", "aws_lb", "create"),
    ResourceChange("module.edge.data.aws_lb_hosted_zone_id.this", "aws_lb_hosted_zone_id", "read"),
]


def test_changes_are_counted_by_action() -> None:
    assert review_of(CHANGES).as_dict()["counts"] == {
        "create": 1,
        "update": 1,
        "replace": 1,
        "delete": 2,
        "read": 1,
    }


def test_replaced_and_destroyed_data_stores_are_at_risk_but_not_their_attachments() -> None:
    review = review_of(CHANGES)
    assert review.data_stores_at_risk == (
        "module.data.aws_db_instance.this",
        "module.data.aws_s3_bucket.uploads",
    )
    assert review.destroyed == (
        "module.data.aws_s3_bucket.uploads",
        "module.data.aws_s3_bucket_policy.uploads",
    )
    assert review.replaced == ("module.data.aws_db_instance.this",)


@pytest.mark.parametrize(
    ("resource_type", "expected"),
    [
        ("aws_rds_cluster", True),
        ("aws_rds_cluster_instance", True),
        ("aws_rds_cluster_parameter_group", False),
        ("aws_elasticache_replication_group", True),
        ("aws_efs_file_system", True),
        ("aws_efs_file_system_policy", False),
        ("aws_backup_vault", True),
        ("aws_backup_vault_policy", False),
        ("aws_kms_key", True),
        ("aws_kms_alias", False),
        ("aws_secretsmanager_secret", True),
        ("aws_instance", False),
    ],
)
def test_resource_type_determines_whether_it_holds_data(resource_type: str, expected: bool) -> None:
    assert holds_data(resource_type) is expected


def test_created_or_changed_data_store_is_not_at_risk() -> None:
    changes = [ResourceChange("aws_kms_key.this", "aws_kms_key", action) for action in ("create", "update", "move")]
    assert review_of(changes).data_stores_at_risk == ()


def test_text_lists_every_destroyed_resource_and_marks_data() -> None:
    lines = review_of(CHANGES, outputs=["url"]).lines()
    assert lines == [
        "1 to create, 1 to change, 1 to replace, 2 to destroy, 1 to read",
        "  change: module.fleet.aws_launch_template.this",
        "  replace: module.data.aws_db_instance.this (cannot update)  HOLDS DATA",
        "  destroy: module.data.aws_s3_bucket.uploads (delete because no resource config)  HOLDS DATA",
        "  destroy: module.data.aws_s3_bucket_policy.uploads",
        "  outputs changed: url",
    ]


def test_plan_that_only_reads_data_sources_has_no_changes() -> None:
    assert review_of([]).lines() == ["No changes. The infrastructure matches the configuration."]
    assert review_of([ResourceChange("data.a.b", "a", "read")]).empty
    assert not review_of([], outputs=["url"]).empty


def test_text_shows_only_drift_of_resources_that_the_plan_changes() -> None:
    drift = [
        ResourceDrift("aws_lb.this", "aws_lb", "update"),
        ResourceDrift("aws_sns_topic.this", "aws_sns_topic", "update"),
    ]
    review = review_of([ResourceChange("aws_lb.this", "aws_lb", "update")], drift)
    assert review.as_dict()["drifted"] == ["aws_lb.this", "aws_sns_topic.this"]
    assert review.lines()[-2:] == ["  1 of these changed outside Terraform since the last apply:", "    aws_lb.this"]


def test_drift_without_planned_changes_is_not_shown() -> None:
    review = review_of([], [ResourceDrift("aws_lb.this", "aws_lb", "update")])
    assert review.lines() == ["No changes. The infrastructure matches the configuration."]


def test_updates_beyond_ten_are_only_counted() -> None:
    lines = review_of([ResourceChange(f"a.b[{index:02}]", "a", "update") for index in range(14)]).lines()
    assert len(lines) == 12
    assert lines[-1] == "  change: 4 more"


def test_review_can_be_serialized_as_json() -> None:
    assert json.loads(json.dumps(review_of(CHANGES).as_dict()))["changes"] is True
