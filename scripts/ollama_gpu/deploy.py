"""Deploy and destroy: the order of the steps, as the runbook has them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ollama_gpu import (
    bootstrap,
    checks,
    collection,
    images,
    instance_settings,
    leftovers,
    models,
    preflight,
    releases,
    secret_values,
    serving,
    toolchain,
    verify,
)
from ollama_gpu.approval import Approval
from ollama_gpu.checks import Check
from ollama_gpu.console import note
from ollama_gpu.context import Context, embedded_aws
from ollama_gpu.errors import UserError
from ollama_gpu.fabric import Fabric, SavedPlan
from ollama_gpu.lab.plane import Plane
from ollama_gpu.progress import ProgressView

SERVING_SECONDS = 3600.0
"""A stock image takes a quarter of an hour to converge, and a first launch may fail."""


def deploy(context: Context, approval: Approval, view: ProgressView, lab: bool = True) -> dict[str, Any]:
    """Provision an environment, wait until it serves, and return its outputs.

    ``lab``: ENV=local runs its instances, its front door and its stores as containers; without it the fabric alone.

    Raises UserError at the first step that fails; every step can be repeated, so the remedy is always to run
    the command again once the cause is gone.
    """
    rows = check(context, view)
    note(f"preflight: {preflight.summary(rows)}")
    for row in rows:
        if row.state == "warning":
            note(f"warning: {row.what}: {row.seen}. {row.remedy}")
    checks.require(rows, "Preflight")

    plane = Plane(context) if context.environment.embedded and lab else None
    if context.environment.embedded:
        settings = plane.prepare() if plane else None
        if not plane and (ended := Plane(context).leave()).containers:
            note(f"lab: its {len(ended.containers)} containers are ended, for this deploy is without")
        instance_settings.keep(context.paths, context.environment, settings)
        context = replace(context, instance_settings=settings)
    if plane:
        plane.start()  # before the apply, which starts instances

    fabric = Fabric(context, view)
    fabric.init()
    fabric.validate()
    plan = fabric.plan()
    if plan.changes:
        approval.obtain(context.environment, plan.review)
        _publish(context)  # before the apply: the first instances boot while it is still going on
        fabric.apply(plan)
    else:
        note("plan: no changes")
        _publish(context)

    outputs = fabric.outputs()
    _settle_secrets(context, outputs)
    if plan.changes:
        _require_stable(context, fabric.plan())
    serving.wait(context, outputs, view, seconds=SERVING_SECONDS)
    if plane:
        _prove(context, outputs)
    return outputs


def verify_chat(context: Context, outputs: dict[str, Any]) -> verify.Chat:
    """A chat at the environment's front door, as the first administrator."""
    door = Plane(context).door if context.environment.embedded else verify.Door(outputs["url"])
    return verify.chat(door, secret_values.administrator(context.environment, context.contract, context.aws))


def _prove(context: Context, outputs: dict[str, Any]) -> None:
    chat = verify_chat(context, outputs)
    note(f"chat: {chat.model} answered at {chat.url}, its first token after {chat.first_token_ms:.0f} ms")
    note(f"Open {chat.url} in a browser. Who signs in first: make administrator ENV={context.environment.name}")


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
    fabric = Fabric(context, view)
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
        fabric.apply(plan)
    images.forget(context.environment, context.contract, context.aws)
    releases.forget(context.environment, context.contract, context.aws)
    models.forget(context.environment, context.contract, context.aws)
    left = leftovers.find(context.environment.name, context.contract.project, context.aws)
    if context.environment.embedded:
        Plane(context).end()
        instance_settings.keep(context.paths, context.environment, None)
    if context.environment.embedded and not left:
        embedded_aws(context.paths, context.environment.region).stop()
    return left


def _publish(context: Context) -> None:
    archive = collection.build(context.paths.repository, context.paths.environment(context.environment.name))
    release = releases.current(context.paths.repository)
    if releases.publish(context.environment, context.contract, context.aws, release, archive):
        note(f"release: {release} is published, its collection has sha256 {archive.sha256[:12]}")


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
