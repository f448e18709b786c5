"""`ollama-gpu backup` and `restore`: every part is restored with its content, or rejected with a message."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from ollama_gpu import backup
from ollama_gpu.backup import configuration, database, points, restore
from ollama_gpu.backup.drill import disaster
from ollama_gpu.backup.protected import Protected
from ollama_gpu.cli import backup as backup_commands
from ollama_gpu.cli.app import app
from ollama_gpu.core import contract, paths
from ollama_gpu.core.aws import Aws, parameter
from ollama_gpu.core.errors import UserError
from ollama_gpu.environment import settings
from ollama_gpu.environment.context import Context
from ollama_gpu.environment.embedded_aws import Endpoint
from ollama_gpu.releases import records
from ollama_gpu.releases.release import Release
from ollama_gpu.terraform.progress import NoProgress
from tests.embedded.conftest import REGION, wait_until

Client = Callable[[str], Any]

ROLES = ("arn:aws:iam::123456789012:role/backup", "arn:aws:iam::123456789012:role/restore")


@pytest.fixture
def context(endpoint: Endpoint, client: Client, name: str, tmp_path: Path) -> Context:
    """An environment named for the test, with values in its parameters and secrets."""
    where = replace(paths.locate(), work=tmp_path)
    environment = replace(settings.load(where, "local"), name=name)
    created = Context(where, environment, contract.load(where.contract), Aws(REGION, endpoint.url), {}, ())
    buckets = [each["Name"] for each in client("s3").list_buckets()["Buckets"]]
    if created.artifact_bucket not in buckets:
        version_bucket(client, created.artifact_bucket)
    for each in configuration.PARAMETERS:
        client("ssm").put_parameter(Name=created.contract.parameter(each, name), Value=f"{each} 1", Type="String")
    for each in created.contract.secrets:
        client("secretsmanager").create_secret(Name=created.contract.secret(each, name), SecretString=f"{each} 1")
    return created


@pytest.fixture
def protected(context: Context, client: Client, name: str) -> Protected:
    """A database, uploads, a file system and a vault for one test."""
    version_bucket(client, f"{name}-uploads")
    group = f"{name}-postgres16"
    client("rds").create_db_parameter_group(
        DBParameterGroupName=group, DBParameterGroupFamily="postgres16", Description="test"
    )
    server = client("rds").create_db_instance(
        DBInstanceIdentifier=f"{name}-database", Engine="postgres", EngineVersion="16.4", AllocatedStorage=50,
        DBInstanceClass="db.m6g.large", MasterUsername="master", ManageMasterUserPassword=True, MultiAZ=True,
        DeletionProtection=True, DBName="openwebui", StorageType="gp3", DBParameterGroupName=group,
    )  # fmt: skip
    files = client("efs").create_file_system(CreationToken=name)
    client("backup").create_backup_vault(BackupVaultName=name)
    key = client("kms").create_key()["KeyMetadata"]["Arn"]
    resources = {
        "database": server["DBInstance"]["DBInstanceArn"],
        "files": files["FileSystemArn"],
        "uploads": f"arn:aws:s3:::{name}-uploads",
        "models": f"arn:aws:s3:::{context.artifact_bucket}",
    }
    return Protected(name, *ROLES, key, resources, {"DBParameterGroupName": group})


def version_bucket(client: Client, name: str) -> None:
    client("s3").create_bucket(Bucket=name)
    client("s3").put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


def found(context: Context, protected: Protected) -> list[points.Point]:
    return points.read(context, protected, points.records(context))


def test_backup_has_recovery_point_of_every_part_and_one_record(context: Context, protected: Protected) -> None:
    taken = backup.take(context, protected, NoProgress())
    listed = found(context, protected)
    assert {point.part for point in listed} == {*protected.resources, "configuration"}
    assert {point.backup for point in listed} == {taken.backup}
    assert {point.arn for point in listed if point.arn} == set(taken.points.values())


def test_unknown_part_is_rejected_before_backup(context: Context, protected: Protected) -> None:
    with pytest.raises(UserError, match="no part pictures") as refused:
        backup.take(context, protected, NoProgress(), ["pictures"])
    assert "database" in refused.value.remedy
    assert found(context, protected) == []


def test_lost_models_and_uploads_are_restored(
    context: Context, protected: Protected, client: Client, name: str
) -> None:
    s3 = client("s3")
    model = context.contract.artifacts["models"].format(environment=name, file="blobs/sha256-1")
    objects = {context.artifact_bucket: model, f"{name}-uploads": "files/1_note.txt"}
    for bucket, key in objects.items():
        s3.put_object(Bucket=bucket, Key=key, Body=f"content of {key}".encode())
    backup.take(context, protected, NoProgress())
    s3.delete_object(Bucket=context.artifact_bucket, Key=model)
    assert disaster.destroy(context.aws, protected) == 1
    assert disaster.count_uploads(context.aws, protected) == 0

    chosen = points.choose(found(context, protected), None, ["models", "uploads"])
    restored = restore.restore(context, protected, chosen, NoProgress())
    assert set(restored.points) == {"models", "uploads"}
    for bucket, key in objects.items():
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == f"content of {key}".encode()


def test_restored_database_takes_name_and_old_one_is_kept(
    context: Context, protected: Protected, client: Client, name: str
) -> None:
    def servers() -> dict[str, dict[str, Any]]:
        described = client("rds").describe_db_instances()["DBInstances"]
        return {
            each["DBInstanceIdentifier"]: each for each in described if each["DBInstanceIdentifier"].startswith(name)
        }

    [before] = servers().values()
    backup.take(context, protected, NoProgress(), ["database"])
    chosen = points.choose(found(context, protected), None, ["database"])
    restored = restore.restore(context, protected, chosen, NoProgress())
    after = servers()
    assert set(after) == {f"{name}-database", restored.replaced}
    assert after[str(restored.replaced)]["DbiResourceId"] == before["DbiResourceId"]
    new = after[f"{name}-database"]
    assert new["Endpoint"] == before["Endpoint"]
    assert (new["MultiAZ"], new["DeletionProtection"]) == (True, True)
    assert new["MasterUserSecret"]["KmsKeyId"] == protected.key
    logs = client("logs")
    for server in after:
        logs.create_log_group(logGroupName=f"/aws/rds/instance/{server}/postgresql")
    database.delete_restore_copies(context.aws, f"{name}-database")
    assert set(servers()) == {f"{name}-database"}
    [kept] = logs.describe_log_groups(logGroupNamePrefix=f"/aws/rds/instance/{name}")["logGroups"]
    assert kept["logGroupName"] == f"/aws/rds/instance/{name}-database/postgresql"


def test_restored_database_has_parameter_group_of_fabric(
    context: Context, protected: Protected, client: Client, name: str
) -> None:
    backup.take(context, protected, NoProgress(), ["database"])
    chosen = points.choose(found(context, protected), None, ["database"])
    restore.restore(context, protected, chosen, NoProgress())
    [server] = client("rds").describe_db_instances(DBInstanceIdentifier=f"{name}-database")["DBInstances"]
    assert [each["DBParameterGroupName"] for each in server["DBParameterGroups"]] == [f"{name}-postgres16"]


def test_printed_commands_delete_replaced_database(
    context: Context, protected: Protected, client: Client, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    backup.take(context, protected, NoProgress(), ["database"])
    chosen = points.choose(found(context, protected), None, ["database"])
    replaced = str(restore.restore(context, protected, chosen, NoProgress()).replaced)
    commands = [line.split() for line in capsys.readouterr().err.splitlines() if line.startswith("  aws rds ")]
    assert [each[2] for each in commands] == ["modify-db-instance", "wait", "delete-db-instance"]
    assert all(replaced in each and context.environment.region in each for each in commands)
    rds = client("rds")
    with pytest.raises(ClientError, match="disable deletion protection"):
        rds.delete_db_instance(DBInstanceIdentifier=replaced, SkipFinalSnapshot=True)
    assert "--no-deletion-protection" in commands[0]


def test_failed_restore_of_database_renames_nothing_and_states_reason(
    context: Context, protected: Protected, client: Client, name: str
) -> None:
    backup.take(context, protected, NoProgress(), ["database"])
    chosen = points.choose(found(context, protected), None, ["database"])
    broken = replace(protected, database_settings={"DBParameterGroupName": f"{name}-other"})
    with pytest.raises(UserError, match=f"database: .*{name}-other"):
        restore.restore(context, broken, chosen, NoProgress())
    described = client("rds").describe_db_instances()["DBInstances"]
    assert not [each for each in described if each["DBInstanceIdentifier"].startswith(f"{name}-database-replaced")]


def test_database_is_restored_although_a_bucket_is_not(
    context: Context, protected: Protected, client: Client, name: str
) -> None:
    backup.take(context, protected, NoProgress())
    client("s3").delete_bucket(Bucket=f"{name}-uploads")
    chosen = points.choose(found(context, protected), None, ["database", "uploads"])
    restored = restore.restore(context, protected, chosen, NoProgress())
    assert (set(restored.points), set(restored.failed)) == ({"database"}, {"uploads"})
    assert client("rds").describe_db_instances(DBInstanceIdentifier=restored.replaced)["DBInstances"]
    with pytest.raises(UserError, match=f"uploads: The destination bucket {name}-uploads does not exist") as refused:
        restore.require_complete(context, restored)
    assert 'ONLY="uploads"' in refused.value.remedy


def test_failed_restore_of_bucket_alone_is_error(
    context: Context, protected: Protected, client: Client, name: str
) -> None:
    backup.take(context, protected, NoProgress(), ["uploads"])
    client("s3").delete_bucket(Bucket=f"{name}-uploads")
    chosen = points.choose(found(context, protected), None, ["uploads"])
    with pytest.raises(UserError, match=f"uploads: The destination bucket {name}-uploads does not exist"):
        restore.restore(context, protected, chosen, NoProgress())


@pytest.fixture
def continuous(client: Client, protected: Protected, name: str) -> None:
    """Continuous backups of the database and the uploads, as the fabric's second plan makes them."""
    rule = {"RuleName": "continuous", "TargetBackupVaultName": name, "EnableContinuousBackup": True}
    plan = client("backup").create_backup_plan(BackupPlan={"BackupPlanName": name, "Rules": [rule]})
    stores = [protected.resources[part] for part in ("database", "uploads")]
    selection = {"SelectionName": "stores", "IamRoleArn": ROLES[0], "Resources": stores}
    client("backup").create_backup_selection(BackupPlanId=plan["BackupPlanId"], BackupSelection=selection)


@pytest.mark.usefixtures("continuous")
class TestPointInTime:
    def test_continuous_backup_is_no_point_of_the_list(self, context: Context, protected: Protected) -> None:
        assert found(context, protected) == []

    def test_database_and_uploads_are_restored_as_they_were(
        self, context: Context, protected: Protected, client: Client, name: str
    ) -> None:
        s3, bucket = client("s3"), f"{name}-uploads"
        s3.put_object(Bucket=bucket, Key="files/1", Body=b"before")
        moment = s3.head_object(Bucket=bucket, Key="files/1")["LastModified"] + timedelta(seconds=1)
        wait_until(lambda: datetime.now(UTC) > moment + timedelta(seconds=1))
        s3.delete_object(Bucket=bucket, Key="files/1")
        chosen = points.at(context, protected, moment, ())
        assert set(chosen) == {"database", "uploads"}
        restored = restore.restore(context, protected, chosen, NoProgress())
        assert (set(restored.points), restored.failed) == ({"database", "uploads"}, {})
        assert s3.get_object(Bucket=bucket, Key="files/1")["Body"].read() == b"before"
        assert client("rds").describe_db_instances(DBInstanceIdentifier=restored.replaced)["DBInstances"]

    @pytest.mark.parametrize(
        ("moment", "only", "message"),
        [
            (datetime(2026, 11, 30, 12), (), "no time zone"),
            (datetime.now(UTC) + timedelta(hours=1), (), "in the future"),
            (datetime(2026, 11, 30, 12, tzinfo=UTC), ("models",), "no continuous backup of models"),
        ],
    )
    def test_impossible_time_is_refused(
        self, context: Context, protected: Protected, moment: datetime, only: tuple[str, ...], message: str
    ) -> None:
        with pytest.raises(UserError, match=message):
            points.at(context, protected, moment, only)

    def test_time_and_point_exclude_each_other(
        self, context: Context, protected: Protected, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(backup_commands, "_open", lambda _: (context, protected))
        ran = CliRunner().invoke(
            app, ["restore", "--env", name, "--time", "2026-11-30T12:00:00Z", "--point", "x", "--yes"]
        )
        assert isinstance(ran.exception, UserError), ran.output
        assert "exclude each other" in ran.exception.message


def test_configuration_is_restored_with_parameters_secrets_and_variables(
    context: Context, protected: Protected, client: Client, name: str, tmp_path: Path
) -> None:
    taken = backup.take(context, protected, NoProgress(), ["configuration"])
    assert taken.points == {}
    [record] = points.records(context)
    secret = context.contract.secret("database", name)
    text = json.dumps(record.content)
    assert not [each for each in context.contract.secrets if f"{each} 1" in text], "a record must not contain a secret"

    client("ssm").put_parameter(
        Name=context.contract.parameter("image", name), Value="image 2", Type="String", Overwrite=True
    )
    client("secretsmanager").put_secret_value(SecretId=secret, SecretString="database 2")
    other = tmp_path / "other.tfvars"
    other.write_text("# another")
    later = replace(context, environment=replace(context.environment, variables_file=other))
    restore.restore(later, protected, points.choose(found(later, protected), taken.backup, ()), NoProgress())

    assert parameter(context.aws, context.contract.parameter("image", name)) == "image 1"
    assert client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"] == "database 1"
    kept = context.paths.environment(name) / f"backup-{taken.backup}.tfvars"
    assert kept.read_text() == context.environment.variables_file.read_text()
    assert other.read_text() == "# another", "the file in the checkout must not change"


def test_restore_command_requires_confirmation_outside_local(
    context: Context, protected: Protected, client: Client, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ollama-gpu restore` for an environment that is not local."""
    real = replace(context, environment=replace(settings.load(context.paths, "staging"), name=name))
    monkeypatch.setattr(backup_commands, "_open", lambda _: (real, protected))
    taken = backup.take(real, protected, NoProgress(), ["configuration"])
    image = context.contract.parameter("image", name)
    client("ssm").put_parameter(Name=image, Value="image 2", Type="String", Overwrite=True)
    arguments = ["restore", "--env", name, "--point", taken.backup, "--only", "configuration", "--json"]

    refused = CliRunner().invoke(app, [*arguments, "--yes"])
    assert isinstance(refused.exception, UserError)
    assert f"configuration of {name}" in refused.exception.message
    assert f"CONFIRM={name}" in refused.exception.remedy
    assert parameter(context.aws, image) == "image 2", "it was restored without confirmation"

    ran = CliRunner().invoke(app, [*arguments, "--yes", "--confirm", name])
    assert ran.exit_code == 0, ran.output
    assert parameter(context.aws, image) == "image 1"


def test_missing_secret_version_is_error(context: Context, protected: Protected, client: Client, name: str) -> None:
    backup.take(context, protected, NoProgress(), ["configuration"])
    secret = context.contract.secret("cache", name)
    client("secretsmanager").delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)
    client("secretsmanager").create_secret(Name=secret, SecretString="cache 3")
    with pytest.raises(UserError, match=f"no longer has the version .* of {secret}"):
        configuration.restore(context, points.records(context)[0])
    assert client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"] == "cache 3"


class TestBeforeAnUpgrade:
    """A deploy with another version of Open WebUI, which migrates the database, backs up the database first."""

    def outputs(self, protected: Protected) -> dict[str, Any]:
        roles = {"backup_role_arn": protected.backup_role, "restore_role_arn": protected.restore_role}
        outputs = {"vault_name": protected.vault, "resources": protected.resources, **roles}
        return {"backup": outputs, "key_arns": {"data": protected.key}}

    def deployed(self, context: Context, open_webui: str) -> None:
        """Write the record of a completed deploy with this version of Open WebUI."""
        with records.recording(records.begin(context, release(open_webui))):
            pass

    def test_database_is_backed_up_if_version_differs(self, context: Context, protected: Protected) -> None:
        self.deployed(context, "open-webui:0.11.0")
        taken = backup.before_upgrade(context, release("open-webui:0.12.0"), self.outputs(protected), NoProgress())
        assert taken is not None
        assert set(taken.points) == {"database"}
        assert {point.part for point in found(context, protected)} == {"database", "configuration"}

    def test_release_without_version_counts_as_different(self, context: Context, protected: Protected) -> None:
        self.deployed(context, "")
        assert backup.before_upgrade(context, release("same"), self.outputs(protected), NoProgress()) is not None

    def test_same_version_and_first_deploy_need_no_backup(self, context: Context, protected: Protected) -> None:
        assert backup.before_upgrade(context, release("same"), self.outputs(protected), NoProgress()) is None
        self.deployed(context, "same")
        assert backup.before_upgrade(context, release("same"), self.outputs(protected), NoProgress()) is None
        assert backup.before_upgrade(context, release("another"), {}, NoProgress()) is None
        assert found(context, protected) == []

    def test_failed_backup_stops_rollout(self, context: Context, protected: Protected, name: str) -> None:
        self.deployed(context, "same")
        broken = replace(protected, vault=f"{name}-other")
        with pytest.raises(Exception, match="ResourceNotFoundException"):
            backup.before_upgrade(context, release("another"), self.outputs(broken), NoProgress())


def release(open_webui: str) -> Release:
    return Release("0123456789ab", "c" * 64, open_webui)
