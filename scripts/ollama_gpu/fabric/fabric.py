"""Terraform's root module for one environment: its state, data, plans and logs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ollama_gpu.core.paths import make_folder
from ollama_gpu.environment import remote_state
from ollama_gpu.environment.context import Context
from ollama_gpu.releases.release import Release
from ollama_gpu.terraform.adapter import Terraform
from ollama_gpu.terraform.installation import find_provider_mirrors
from ollama_gpu.terraform.progress import ProgressView
from ollama_gpu.terraform.review import PlanReview


@dataclass(frozen=True)
class SavedPlan:
    """A plan file and its review."""

    path: Path
    changes: bool
    review: PlanReview


class Fabric:
    """The root module of one environment. Each environment has a separate folder for Terraform's data.

    ``release`` is the release to plan; without one, only a destroy can be planned.
    """

    def __init__(self, context: Context, view: ProgressView, release: Release | None = None) -> None:
        self._context = context
        self._release = release
        self.folder = context.paths.environment(context.environment.name)
        make_folder(self.folder)
        self._terraform = Terraform(
            directory=context.paths.terraform,
            data_dir=self.folder / "terraform",
            log_dir=self.folder / "logs",
            environment=terraform_environment(context),
            view=view,
            environment_name=context.environment.name,
        )

    def init(self) -> None:
        context = self._context
        bucket, _ = remote_state.location(context)
        self._terraform.init({**context.environment.backend, "bucket": bucket})

    def validate(self) -> None:
        self._terraform.validate()

    def plan(self, *, destroy: bool = False) -> SavedPlan:
        """Save a plan to a file that only this user can read. Changes nothing in AWS."""
        if not (destroy or self._release):
            raise ValueError("a plan without a release would remove the instances' settings")
        path = self.folder / ("destroy.tfplan" if destroy else "apply.tfplan")
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        outcome = self._terraform.plan(
            path, [self._context.environment.variables_file, self._driver_file()], destroy=destroy
        )
        return SavedPlan(path, outcome.changes, outcome.review)

    def apply(self, plan: SavedPlan) -> None:
        """Apply exactly the reviewed plan, then delete its file, because an applied plan is stale."""
        try:
            self._terraform.apply(plan.path)
        finally:
            plan.path.unlink(missing_ok=True)

    def outputs(self) -> dict[str, Any]:
        return self._terraform.output()

    def resources(self) -> list[str]:
        """The addresses of all resources in the state."""
        return self._terraform.state_list()

    def import_resource(self, address: str, identifier: str) -> None:
        """Replace the resource at ``address`` in the state by the one with this import ID; AWS is not changed.

        Raises UserError. If the import fails after the removal, the state contains neither; the call can be repeated.
        """
        if address in self.resources():
            self._terraform.state_remove(address)
        variables = [self._context.environment.variables_file, self._driver_file()]
        self._terraform.import_resource(address, identifier, variables)

    def unlock(self, lock_id: str) -> None:
        self._terraform.force_unlock(lock_id)

    def _driver_file(self) -> Path:
        # A file, because python-terraform silently lets -var-file override variables: use only one kind of source.
        path = self.folder / "driver.tfvars.json"
        values: dict[str, Any] = {}
        if self._release is not None:
            values |= {"release": self._release.name, "collection_sha256": self._release.collection_sha256}
            values |= {"image_id": self._release.image} if self._release.image else {}
        if self._context.instance_settings is not None:
            values["instance"] = self._context.instance_settings
        path.write_text(json.dumps(values))
        return path


def terraform_environment(context: Context) -> dict[str, str | None]:
    """The variables that Terraform's process gets in addition to the shell's: for AWS and for the provider mirror."""
    mirrors = find_provider_mirrors(context.paths.work, context.process_environment)
    return {**dict.fromkeys(context.unset), **context.exports, **mirrors.environment}
