"""Ask for approval of a plan. A plan that destroys or replaces data requires typing the environment's name."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from ollama_gpu.core.console import confirm, note
from ollama_gpu.core.errors import UserError
from ollama_gpu.environment.settings import Environment
from ollama_gpu.terraform.review import PlanReview


@dataclass(frozen=True)
class Approval:
    """``unattended``: do not ask (YES=1). ``confirmed``: the environment's name, given on the command line."""

    unattended: bool = False
    confirmed: str | None = None

    def obtain(self, environment: Environment, review: PlanReview, *, destroying: bool = False) -> None:
        """Show the review and return if the plan is approved; raise UserError otherwise."""
        for line in review.lines():
            note(line)
        if environment.embedded:
            return  # disposable: needs no approval
        if review.data_stores_at_risk or destroying:
            self._typed_name(environment, ", ".join(review.data_stores_at_risk) or "everything in it")
        elif not self.unattended:
            self._plain_yes()

    def agree(self, environment: Environment, what: str) -> None:
        """Return if replacing or losing the data ``what`` is approved; raise UserError otherwise."""
        if not environment.embedded:
            self._typed_name(environment, what)

    def _typed_name(self, environment: Environment, what: str) -> None:
        if self.confirmed == environment.name:
            return
        if self.unattended or not sys.stdin.isatty():
            raise UserError(
                f"This destroys or replaces data ({what}). YES=1 does not approve that.",
                f"Check the plan. To approve the loss of this data, add CONFIRM={environment.name}.",
            )
        if not confirm(
            f"This destroys or replaces data: {what}. Type `{environment.name}` to continue:", environment.name
        ):
            raise UserError("Nothing was changed: the environment's name was not typed.", "")

    def _plain_yes(self) -> None:
        if not sys.stdin.isatty():
            raise UserError("The plan needs approval, but there is no terminal.", "Use a terminal, or add YES=1.")
        if not confirm("Apply this plan? Type `yes`:", "yes"):
            raise UserError("Nothing was changed: the plan was not approved.", "")


def require_name(name: str, confirmed: str | None, what: str) -> None:
    """Return if ``confirmed`` is the environment's name or the user types it; raise UserError otherwise."""
    if confirmed == name:
        return
    if confirmed is not None or not sys.stdin.isatty():
        raise UserError(what, f"To approve this, add --confirm {name}.", status=2)
    if not confirm(f"{what} Type `{name}` to continue:", name):
        raise UserError("Nothing was changed: the environment's name was not typed.", "")
