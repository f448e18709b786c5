"""The steps of a deploy, a rollback and a destroy, in the order of the runbook."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

from ollama_gpu import backup, rollout
from ollama_gpu.backup import database
from ollama_gpu.core import checks
from ollama_gpu.core.checks import Check
from ollama_gpu.core.console import note
from ollama_gpu.core.errors import UserError
from ollama_gpu.deploy import front_door, local
from ollama_gpu.deploy.story import Story
from ollama_gpu.environment import images, instance_settings, secrets
from ollama_gpu.environment.context import Context, embedded_aws
from ollama_gpu.fabric import bootstrap, leftovers, preflight, toolchain
from ollama_gpu.fabric.approval import Approval
from ollama_gpu.fabric.fabric import Fabric, SavedPlan
from ollama_gpu.local.lab.lab import Lab
from ollama_gpu.local.lab.progress_step import progress_step
from ollama_gpu.local.usual import ACCOUNT, CHAT, FABRIC, INSTANCES
from ollama_gpu.models import model_set
from ollama_gpu.observe import serving
from ollama_gpu.releases import records
from ollama_gpu.releases import release as releases
from ollama_gpu.releases.release import Release
from ollama_gpu.terraform.progress import ProgressView

SERVING_SECONDS = 3600.0
"""A stock image needs a quarter of an hour to converge, and a first launch may fail."""


def deploy(context: Context, approval: Approval, view: ProgressView, lab: bool = True) -> dict[str, Any]:
    """Deploy this checkout to an environment, wait until it serves, and return Terraform's outputs.

    ``lab``: with ENV=local, run the instances, the front door and the data stores as containers. Without it, only
    the fabric is deployed.

    Raises UserError at the first step that fails. Every step is repeatable: fix the cause, then run the command again.
    """
    with_lab = context.environment.embedded and lab
    story = local.story(context) if with_lab else Story()
    story.begin("account and supplies")
    new_account = with_lab and bootstrap.needed(context)
    with (
        local.supplying(context, view) if with_lab else nullcontext(),
        story.timed(ACCOUNT, when=new_account),
    ):
        _require_preflight(context, view)
    if context.environment.embedded:
        context = local.set_up(context, lab, story, view)
    release = releases.of_checkout(context.paths, context.environment)
    outputs = _deploy_release(context, release, approval, view, story)
    if with_lab:
        story.begin("chat", CHAT)
        _require_chat(context, outputs, view)
        story.end()
    return outputs


def redeploy(
    context: Context, recorded: Context, release: Release, number: int, approval: Approval, view: ProgressView
) -> dict[str, Any]:
    """Deploy the recorded release ``number`` again. ``recorded`` has its Terraform tree and variables."""
    _require_preflight(context, view)
    with_lab = context.environment.embedded and context.instance_settings is not None
    if with_lab:
        Lab(context).start()
    outputs = _deploy_release(recorded, release, approval, view, Story(), reapplies=number)
    if with_lab:
        _require_chat(context, outputs, view)
    return outputs


def _deploy_release(
    context: Context,
    release: Release,
    approval: Approval,
    view: ProgressView,
    story: Story,
    reapplies: int | None = None,
) -> dict[str, Any]:
    """Plan, review, apply, roll the instances, and wait until they serve. The record covers apply to end.

    Raises UserError at the end if a second plan is not empty.
    """
    began = datetime.now(UTC)
    story.begin("plan and apply", FABRIC)
    fabric = Fabric(context, view, release)
    fabric.init()
    fabric.validate()
    plan = fabric.plan()
    before = fabric.outputs()
    if before:
        story.keep_no_durations()
    if plan.changes:
        _require_no_rollout(context, before)
        approval.obtain(context.environment, plan.review)
    else:
        note("plan: no changes")
    backup.before_upgrade(context, release, before, view)
    writer = None
    if plan.changes or rollout.pending_rollouts(context, before) or not records.is_deployed(context, release):
        writer = records.begin(context, release, reapplies)
    with records.recording(writer):
        _publish(context, release)  # before the apply: the first instances boot while it is still running
        if plan.changes:
            fabric.apply(plan)
        outputs = fabric.outputs()
        _fill_secrets(context, outputs)
        story.begin("instances", INSTANCES)
        drift = _drift(context, fabric.plan()) if plan.changes else None
        if writer:
            writer.rolling_out(outputs)
        rollout.roll(context, outputs, view)
        serving.wait(context, outputs, view, SERVING_SECONDS, began)
    if writer:
        note(f"release {writer.record.number} is deployed: {release.name}")
    if drift:
        raise drift  # only now: a difference that only AWS shows must not keep the instances from their new version
    return outputs


def resume_rollout(context: Context, outputs: dict[str, Any], view: ProgressView) -> None:
    """Follow the running rollout until it ends, and complete the record of its deploy."""
    if not rollout.under_way(context, outputs):
        pending = ", ".join(fleet.fleet for fleet in rollout.pending_rollouts(context, outputs))
        note("No rollout is under way." + (f" The next deploy rolls: {pending}." if pending else ""))
        return
    writer = records.reopen(context)
    with records.recording(writer):
        rollout.roll(context, outputs, view)
        began = writer.record.began if writer else datetime.now(UTC)
        serving.wait(context, outputs, view, SERVING_SECONDS, began)


def cancel_rollout(context: Context, outputs: dict[str, Any], view: ProgressView) -> None:
    """Roll back the running rollout, and record its deploy as failed."""
    writer = records.reopen(context)
    if not rollout.roll_back(context, outputs, view):
        note("No rollout is under way.")
    elif writer:
        writer.end("failed", "The rollout was rolled back on request.")


def run_preflight(context: Context, view: ProgressView) -> list[Check]:
    """Check this machine's Terraform. If it passes, check the account and its region."""
    tools = toolchain.rows(context.paths, context.environment.name)
    if any(row.state == "failed" for row in tools):
        return tools
    _bootstrap_embedded_account(context, view)
    return tools + preflight.run(context)


def plan(context: Context, view: ProgressView) -> SavedPlan:
    """Plan a deploy of this checkout. Changes nothing."""
    checks.require(toolchain.rows(context.paths, context.environment.name), "The Terraform check")
    _bootstrap_embedded_account(context, view)
    release = releases.of_checkout(context.paths, context.environment)
    fabric = Fabric(context, view, release)
    fabric.init()
    fabric.validate()
    return fabric.plan()


def destroy(context: Context, approval: Approval, view: ProgressView) -> list[str]:
    """Delete everything that belongs to an environment. Returns what remains, which should be nothing."""
    if context.environment.variables.data.deletion_protection:
        raise UserError(
            f"ENV={context.environment.name} has deletion protection for its data.",
            f"To delete the data, set data.deletion_protection = false in {context.environment.variables_file.name}, "
            f"run `make deploy ENV={context.environment.name}`, then destroy again.",
        )
    fabric = Fabric(context, view)
    fabric.init()
    plan = fabric.plan(destroy=True)
    if plan.changes:
        approval.obtain(context.environment, plan.review, destroying=True)
        database.delete_restore_copies(context.aws, f"{context.contract.project}-{context.environment.name}-database")
        fabric.apply(plan)
    images.unpublish(context)
    model_set.unpublish(context)
    left = leftovers.find(context)
    if context.environment.embedded:
        Lab(context).end()
        instance_settings.keep(context.paths, context.environment, None)
    if context.environment.embedded and not left:
        embedded_aws(context.paths, context.environment.region).stop()
    return left


def _require_preflight(context: Context, view: ProgressView) -> None:
    rows = run_preflight(context, view)
    note(f"preflight: {preflight.summary(rows)}")
    for row in rows:
        if row.state == "warning":
            note(f"warning: {row.what}: {row.seen}. {row.remedy}")
    checks.require(rows, "Preflight")


def _bootstrap_embedded_account(context: Context, view: ProgressView) -> None:
    # Only with ENV=local. In an AWS account, bootstrap is the administrator's decision.
    if context.environment.embedded and bootstrap.needed(context):
        bootstrap.run(context, view)


def _require_no_rollout(context: Context, outputs: dict[str, Any]) -> None:
    # An apply may create a new template version during the rollout, and AWS refuses changes to a group in a refresh.
    running = rollout.under_way(context, outputs) if outputs else []
    if running:
        raise rollout.refusal(context, running[0])


def _publish(context: Context, release: Release) -> None:
    if releases.publish(context, release):
        note(f"release: published the collection of {release.name}, sha256 {release.collection_sha256[:12]}")
    if release.image and context.environment.variables.image_id is None:
        images.publish(context, release.image)


def _fill_secrets(context: Context, outputs: dict[str, Any]) -> None:
    for name in secrets.fill(context):
        note(f"secret: generated a value for {name}")
    group = outputs["cache_replication_group_id"]
    if secrets.protect_cache(context, group):
        note(f"cache: {group} now requires its auth token")


def _drift(context: Context, second: SavedPlan) -> UserError | None:
    """Return the error that ends the deploy if a second plan is not empty, and show its changes now."""
    second.path.unlink(missing_ok=True)
    if not second.changes:
        note("second plan: no changes")
        return None
    changed = "\n".join(f"  {line}" for line in second.review.lines())
    note(f"second plan: not empty, so the deploy goes on and then ends with exit status 1:\n{changed}")
    return UserError(
        f"The release is deployed, but Terraform's plan for {context.environment.name} is not empty after the"
        f" apply:\n{changed}",
        "Run the deploy again. If the changes remain, report a bug with these lines.",
    )


def _require_chat(context: Context, outputs: dict[str, Any], view: ProgressView) -> None:
    with progress_step(view, "chat"):
        answer = front_door.try_chat(context, outputs)
    note(f"chat: {answer.model} answered at {answer.url}, first token after {answer.first_token_ms:.0f} ms")
