"""Terraform's root for one environment: where its state, data, plans and logs are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ollama_gpu import remote_state
from ollama_gpu.context import Context
from ollama_gpu.paths import make_folder
from ollama_gpu.progress import ProgressView
from ollama_gpu.releases import Release
from ollama_gpu.review import PlanReview
from ollama_gpu.terraform.adapter import Terraform
from ollama_gpu.terraform.installation import find_provider_mirrors


@dataclass(frozen=True)
class SavedPlan:
    """A plan on disk and what it would do."""

    path: Path
    changes: bool
    review: PlanReview


class Fabric:
    """The root module of one environment. Every environment has a folder of its own for Terraform's data.

    ``release`` is what plans are made for; without one there is nothing to plan but a removal.
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
        bucket, _ = remote_state.place(context.environment, context.contract, context.aws)
        self._terraform.init({**context.environment.backend, "bucket": bucket})

    def validate(self) -> None:
        self._terraform.validate()

    def plan(self, *, destroy: bool = False) -> SavedPlan:
        """Plan into a file that only this user can read; nothing is changed."""
        if not (destroy or self._release):
            raise ValueError("a plan without a release would take the instances' settings away")
        path = self.folder / ("destroy.tfplan" if destroy else "apply.tfplan")
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        outcome = self._terraform.plan(
            path, [self._context.environment.variables_file, self._driver_file()], destroy=destroy
        )
        return SavedPlan(path, outcome.changes, outcome.review)

    def apply(self, plan: SavedPlan) -> None:
        """Apply exactly the reviewed plan, then forget it: applied once, it is stale."""
        try:
            self._terraform.apply(plan.path)
        finally:
            plan.path.unlink(missing_ok=True)

    def outputs(self) -> dict[str, Any]:
        return self._terraform.output()

    def resources(self) -> list[str]:
        """Addresses of everything in the state."""
        return self._terraform.state_list()

    def adopt(self, address: str, identifier: str) -> None:
        """Let ``address`` be the resource of that identifier from now on; what it was is forgotten, not touched.

        Raises UserError; when the second of the two steps fails, the state knows neither, and this can be repeated.
        """
        if address in self.resources():
            self._terraform.state_remove(address)
        self._terraform.adopt(address, identifier, [self._context.environment.variables_file, self._driver_file()])

    def unlock(self, lock_id: str) -> None:
        self._terraform.force_unlock(lock_id)

    def _driver_file(self) -> Path:
        # A file, since python-terraform lets -var-file silently win over variables: one kind of source only.
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
    """What Terraform's process gets besides the shell's environment: where AWS is, where providers come from."""
    mirrors = find_provider_mirrors(context.paths.work, context.process_environment)
    return {**dict.fromkeys(context.unset), **context.exports, **mirrors.environment}
