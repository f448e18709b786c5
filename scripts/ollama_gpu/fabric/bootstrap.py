"""Create what all environments of one account and region share: the buckets and the image role.

Bootstrap's own state is in the bucket that it creates: the first apply uses a state file on disk, which is then
migrated to the bucket. After an interruption at any point, the next run continues from what exists.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from ollama_gpu.core import s3
from ollama_gpu.core.aws import parameter
from ollama_gpu.core.console import note
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import make_folder
from ollama_gpu.environment import images
from ollama_gpu.environment.context import Context
from ollama_gpu.fabric.fabric import terraform_environment
from ollama_gpu.terraform.adapter import Terraform
from ollama_gpu.terraform.progress import ProgressView

_LOCAL_BACKEND = 'terraform {\n  backend "local" {\n    path = "bootstrap.tfstate"\n  }\n}\n'


def needed(context: Context) -> bool:
    """Whether the account and region have no bootstrap state, or the environment has no image parameter."""
    return not _object_exists(context) or not _image_known(context)


def run(context: Context, view: ProgressView) -> dict[str, Any]:
    """Create or update the account's shared resources; return bootstrap's outputs."""
    account, region = context.aws.identity.account, context.environment.region
    folder = context.paths.work / "bootstrap" / f"{context.environment.name}-{account}-{region}"
    tree = _copy_sources(context, folder / "tree")
    override = tree / "backend_override.tf"
    local_state = tree / "bootstrap.tfstate"
    terraform = Terraform(
        directory=tree,
        data_dir=folder / "terraform",
        log_dir=folder / "logs",
        environment=terraform_environment(context),
        view=view,
        environment_name=context.environment.name,
    )
    remote = {
        "bucket": context.state_bucket,
        "key": context.contract.state["bootstrap_key"],
        "region": region,
    }
    if _object_exists(context):
        override.unlink(missing_ok=True)
        terraform.init(remote)
        _apply(terraform, context, folder)
    else:
        if not local_state.exists() and s3.has_bucket(context.aws, context.state_bucket):
            raise UserError(
                f"The bucket {remote['bucket']} exists, but does not contain bootstrap's state.",
                "The bucket was created by hand, or the state was lost. To recover the state, restore an earlier "
                f"version of the object {remote['key']}.",
            )
        override.write_text(_LOCAL_BACKEND)
        terraform.init({})
        _apply(terraform, context, folder)
        override.unlink()
        terraform.init(remote, migrate_state=True)
    # Not only after a migration: an interruption right after one would leave the local copy on disk permanently.
    for leftover in tree.glob("bootstrap.tfstate*"):
        leftover.unlink()
    stock = images.ensure(context)
    if stock:
        note(f"No image has been baked: instances of {context.environment.name} start from the stock image {stock}.")
    return terraform.output()


def _apply(terraform: Terraform, context: Context, folder: Path) -> None:
    variables = folder / "variables.tfvars.json"
    variables.write_text(
        json.dumps({"region": context.environment.region, "force_destroy": context.environment.embedded})
    )
    plan = folder / "apply.tfplan"
    outcome = terraform.plan(plan, [variables])
    try:
        if outcome.changes:
            terraform.apply(plan)
    finally:
        plan.unlink(missing_ok=True)


def _copy_sources(context: Context, tree: Path) -> Path:
    # The first apply needs an override file with a local backend next to the sources. An interrupted run must not leave
    # that file in the committed tree, so Terraform runs in a copy.
    make_folder(tree)
    source = context.paths.terraform / "bootstrap"
    target = tree / "terraform" / "bootstrap"
    make_folder(target)
    for old in [*target.glob("*.tf"), *target.glob(".terraform.lock.hcl")]:
        if old.name != "backend_override.tf":
            old.unlink()
    for file in [*source.glob("*.tf"), *source.glob(".terraform.lock.hcl")]:
        shutil.copy(file, target / file.name)
    make_folder(tree / "contract")
    shutil.copy(context.paths.contract, tree / "contract" / context.paths.contract.name)
    return target


def _object_exists(context: Context) -> bool:
    return s3.has_object(context.aws, context.state_bucket, context.contract.state["bootstrap_key"])


def _image_known(context: Context) -> bool:
    return parameter(context.aws, context.contract.parameter("image", context.environment.name)) is not None
