"""Once per account and region: the buckets and the image role that every environment there shares.

Its own state ends up in the bucket that it makes: the first apply keeps the state on disk, then it is migrated.
Interrupted anywhere, the next run goes on from what it finds.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from ollama_gpu import images, s3
from ollama_gpu.aws import parameter
from ollama_gpu.console import note
from ollama_gpu.context import Context
from ollama_gpu.errors import UserError
from ollama_gpu.fabric import terraform_environment
from ollama_gpu.paths import make_folder
from ollama_gpu.progress import ProgressView
from ollama_gpu.terraform.adapter import Terraform

_LOCAL_BACKEND = 'terraform {\n  backend "local" {\n    path = "bootstrap.tfstate"\n  }\n}\n'


def needed(context: Context) -> bool:
    """Whether this account and region lack the state bucket or this environment lacks its image parameter."""
    return not _object_exists(context) or not _image_known(context)


def run(context: Context, view: ProgressView) -> dict[str, Any]:
    """Make or update what the account needs; return bootstrap's outputs."""
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
                f"The bucket {remote['bucket']} exists, but holds no state of bootstrap.",
                "Somebody made it by hand, or the state was lost: restore that object from the bucket's versions.",
            )
        override.write_text(_LOCAL_BACKEND)
        terraform.init({})
        _apply(terraform, context, folder)
        override.unlink()
        terraform.init(remote, migrate_state=True)
    # Here and not only after a migration: an interruption right after it would leave the copy on disk for ever.
    for leftover in tree.glob("bootstrap.tfstate*"):
        leftover.unlink()
    stock = images.ensure(context.environment, context.contract, context.aws)
    if stock:
        note(f"No baked image yet: instances of {context.environment.name} start from the stock image {stock}.")
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
    # A copy, because the first apply needs a file beside the sources that says "local backend", and a run that is
    # interrupted must not leave such a file in the committed tree.
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
