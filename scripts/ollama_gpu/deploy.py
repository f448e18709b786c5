"""Deploy and destroy: the order of the steps, as the runbook has them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ollama_gpu import (
    backup,
    bootstrap,
    chat,
    checks,
    images,
    instance_settings,
    leftovers,
    models,
    preflight,
    release_records,
    releases,
    rollout,
    secret_values,
    serving,
    toolchain,
)
from ollama_gpu.approval import Approval
from ollama_gpu.backup import database
from ollama_gpu.checks import Check
from ollama_gpu.console import note
from ollama_gpu.context import Context, embedded_aws
from ollama_gpu.errors import UserError
from ollama_gpu.fabric import Fabric, SavedPlan
from ollama_gpu.lab.plane import Plane
from ollama_gpu.progress import ProgressView
from ollama_gpu.releases import Release

SERVING_SECONDS = 3600.0
"""A stock image takes a quarter of an hour to converge, and a first launch may fail."""


def deploy(context: Context, approval: Approval, view: ProgressView, lab: bool = True) -> dict[str, Any]:
    """Provision an environment, wait until it serves, and return its outputs.

    ``lab``: ENV=local runs its instances, its front door and its stores as containers; without it the fabric alone.

    Raises UserError at the first step that fails; every step can be repeated, so the remedy is always to run
    the command again once the cause is gone.
    """
    _require_fit(context, view)
    plane = Plane(context) if context.environment.embedded and lab else None
    if context.environment.embedded:
        settings = plane.prepare() if plane else None
        if not plane and (ended := Plane(context).leave()).containers:
            note(f"lab: its {len(ended.containers)} containers are ended, for this deploy is without")
        instance_settings.keep(context.paths, context.environment, settings)
        context = replace(context, instance_settings=settings)
    if plane:
        plane.start()  # before the apply, which starts instances

    release = releases.of_checkout(context.paths, context.environment)
    outputs = _bring(context, release, approval, view)
    if plane:
        _prove(context, outputs)
    return outputs


def again(
    context: Context, past: Context, release: Release, number: int, approval: Approval, view: ProgressView
) -> dict[str, Any]:
    """Bring an environment back to the release of that number; ``past`` has its tree and its variables."""
    _require_fit(context, view)
    plane = Plane(context) if context.environment.embedded and context.instance_settings else None
    if plane:
        plane.start()
    outputs = _bring(past, release, approval, view, reapplies=number)
    if plane:
        _prove(context, outputs)
    return outputs


def _require_fit(context: Context, view: ProgressView) -> None:
    rows = check(context, view)
    note(f"preflight: {preflight.summary(rows)}")
    for row in rows:
        if row.state == "warning":
            note(f"warning: {row.what}: {row.seen}. {row.remedy}")
    checks.require(rows, "Preflight")


def _bring(
    context: Context, release: Release, approval: Approval, view: ProgressView, reapplies: int | None = None
) -> dict[str, Any]:
    """Plan, review, apply that plan, roll the instances, wait until they serve; recorded from the apply to the end."""
    fabric = Fabric(context, view, release)
    fabric.init()
    fabric.validate()
    plan = fabric.plan()
    before = fabric.outputs()
    if plan.changes:
        _refuse_beside_a_rollout(context, before)
        approval.obtain(context.environment, plan.review)
    else:
        note("plan: no changes")
    backup.before_upgrade(context, release, before, view)
    keeper = None
    if plan.changes or rollout.due(context, before) or not release_records.stands(context, release):
        keeper = release_records.begin(context, release, reapplies)
    with release_records.kept(keeper):
        _publish(context, release)  # before the apply: the first instances boot while it is still going on
        if plan.changes:
            fabric.apply(plan)
        outputs = fabric.outputs()
        _settle_secrets(context, outputs)
        if plan.changes:
            _require_stable(context, fabric.plan())
        if keeper:
            keeper.rolling(outputs)
        rollout.roll(context, outputs, view)
        serving.wait(context, outputs, view, seconds=SERVING_SECONDS)
    if keeper:
        note(f"release {keeper.record.number} is deployed: {release.name}")
    return outputs


def resume(context: Context, outputs: dict[str, Any], view: ProgressView) -> None:
    """Go on with what a deploy left when nobody followed its rollout any more."""
    if not rollout.under_way(context, outputs):
        waiting = ", ".join(fleet.fleet for fleet in rollout.due(context, outputs))
        note("No rollout is under way." + (f" Still to be rolled, by the next deploy: {waiting}." if waiting else ""))
        return
    with release_records.kept(release_records.reopen(context)):
        rollout.roll(context, outputs, view)
        serving.wait(context, outputs, view, seconds=SERVING_SECONDS)


def take_back(context: Context, outputs: dict[str, Any], view: ProgressView) -> None:
    """Bring the instances back to the version that they had before the rollout that goes on."""
    keeper = release_records.reopen(context)
    if not rollout.take_back(context, outputs, view):
        note("No rollout is under way.")
    elif keeper:
        keeper.ended("failed", "Its rollout was taken back on request.")


def door(context: Context, outputs: dict[str, Any]) -> chat.Door:
    """Where an environment's users go."""
    return Plane(context).door if context.environment.embedded else chat.Door(outputs["url"])


def verify_chat(context: Context, outputs: dict[str, Any]) -> chat.Chat:
    """A chat at the environment's front door, as the first administrator."""
    return chat.chat(
        door(context, outputs), secret_values.administrator(context.environment, context.contract, context.aws)
    )


def _prove(context: Context, outputs: dict[str, Any]) -> None:
    tried = verify_chat(context, outputs)
    note(f"chat: {tried.model} answered at {tried.url}, its first token after {tried.first_token_ms:.0f} ms")
    note(f"Open {tried.url} in a browser. Who signs in first: make administrator ENV={context.environment.name}")


def prepare(context: Context, view: ProgressView) -> None:
    """ENV=local: give the new account what any account is given once. Elsewhere that is the user's decision."""
    if context.environment.embedded and bootstrap.needed(context):
        bootstrap.run(context, view)


def check(context: Context, view: ProgressView) -> list[Check]:
    """Preflight: this machine's Terraform and then, where that will do, everything that AWS can tell beforehand."""
    tools = toolchain.rows(context.paths, context.environment.name)
    if any(row.state == "failed" for row in tools):
        return tools
    prepare(context, view)
    return tools + preflight.run(context.environment, context.contract, context.aws)


def plan(context: Context, view: ProgressView) -> SavedPlan:
    """What a deploy would change; nothing is changed."""
    checks.require(toolchain.rows(context.paths, context.environment.name), "This machine's check")
    prepare(context, view)
    release = releases.of_checkout(context.paths, context.environment)
    fabric = Fabric(context, view, release)
    fabric.init()
    fabric.validate()
    return fabric.plan()


def destroy(context: Context, approval: Approval, view: ProgressView) -> list[str]:
    """Remove everything that the environment has; return what is still there afterwards (should be nothing)."""
    if context.environment.variables.data.deletion_protection:
        raise UserError(
            f"ENV={context.environment.name} protects its data from deletion.",
            f"If the data may go: set data.deletion_protection = false in {context.environment.variables_file.name}, "
            f"`make deploy ENV={context.environment.name}`, then destroy again.",
        )
    fabric = Fabric(context, view)
    fabric.init()
    plan = fabric.plan(destroy=True)
    if plan.changes:
        approval.obtain(context.environment, plan.review, destroying=True)
        database.forget_restored(context.aws, f"{context.contract.project}-{context.environment.name}-database")
        fabric.apply(plan)
    images.forget(context.environment, context.contract, context.aws)
    models.forget(context.environment, context.contract, context.aws)
    left = leftovers.find(context.environment.name, context.contract, context.aws)
    if context.environment.embedded:
        Plane(context).end()
        instance_settings.keep(context.paths, context.environment, None)
    if context.environment.embedded and not left:
        embedded_aws(context.paths, context.environment.region).stop()
    return left


def _refuse_beside_a_rollout(context: Context, outputs: dict[str, Any]) -> None:
    # An apply may make the next version while instances still go to this one, and AWS refuses changes of such a group.
    running = rollout.under_way(context, outputs) if outputs else []
    if running:
        raise rollout.refusal(context, running[0])


def _publish(context: Context, release: Release) -> None:
    if releases.publish(context, release):
        note(f"release: the collection of {release.name} is published, sha256 {release.collection_sha256[:12]}")
    if release.image and context.environment.variables.image_id is None:
        images.publish(context.environment.name, context.contract, context.aws, release.image)


def _settle_secrets(context: Context, outputs: dict[str, Any]) -> None:
    for name in secret_values.fill(context.environment, context.contract, context.aws):
        note(f"secret: {name} has got a value")
    group = outputs["cache_replication_group_id"]
    if secret_values.protect_cache(context.environment, context.contract, context.aws, group):
        note(f"cache: {group} demands its token now")


def _require_stable(context: Context, second: SavedPlan) -> None:
    second.path.unlink(missing_ok=True)
    if second.changes:
        changed = "\n".join(f"  {line}" for line in second.review.lines())
        raise UserError(
            f"The fabric of {context.environment.name} is not stable: a second plan would change it again:\n{changed}",
            "Run the deploy again; when it stays, report it with these lines.",
        )
    note("second plan: no changes")
