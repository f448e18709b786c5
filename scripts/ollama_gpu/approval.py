"""Who says yes to a plan. A plan that destroys or replaces data needs the environment's name, typed."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from ollama_gpu.console import confirm, note
from ollama_gpu.environments import Environment
from ollama_gpu.errors import UserError
from ollama_gpu.review import PlanReview


@dataclass(frozen=True)
class Approval:
    """``unattended``: nobody is there to ask (YES=1). ``confirmed``: the environment's name, given beforehand."""

    unattended: bool = False
    confirmed: str | None = None

    def obtain(self, environment: Environment, review: PlanReview, *, destroying: bool = False) -> None:
        """Return when the plan may be applied; raise UserError when it may not."""
        for line in review.lines():
            note(line)
        if environment.embedded:
            return  # made to be thrown away: nothing in it is worth a question
        if review.data_stores_at_risk or destroying:
            self._typed_name(environment, ", ".join(review.data_stores_at_risk) or "everything in it")
        elif not self.unattended:
            self._plain_yes()

    def agree(self, environment: Environment, what: str) -> None:
        """Return when ``what``, which is data, may be replaced or lost; raise UserError when it may not."""
        if not environment.embedded:
            self._typed_name(environment, what)

    def _typed_name(self, environment: Environment, what: str) -> None:
        if self.confirmed == environment.name:
            return
        if self.unattended or not sys.stdin.isatty():
            raise UserError(
                f"This destroys or replaces data ({what}), and YES=1 does not cover that.",
                f"Read that again; if it is meant, add CONFIRM={environment.name}.",
            )
        if not confirm(
            f"This destroys or replaces data: {what}. Type `{environment.name}` to go on:", environment.name
        ):
            raise UserError("Nothing was changed: the name was not typed.", "")

    def _plain_yes(self) -> None:
        if not sys.stdin.isatty():
            raise UserError("Nobody is there to review the plan.", "Run it on a terminal, or unattended with YES=1.")
        if not confirm("Apply this plan? Type `yes`:", "yes"):
            raise UserError("Nothing was changed: the plan was not approved.", "")


def require_name(name: str, confirmed: str | None, what: str) -> None:
    """Return when the environment's name was given beforehand, or is typed now; raise UserError otherwise."""
    if confirmed == name:
        return
    if confirmed is not None or not sys.stdin.isatty():
        raise UserError(what, f"If that is meant, add --confirm {name}.", status=2)
    if not confirm(f"{what} Type `{name}` to go on:", name):
        raise UserError("Nothing was changed: the name was not typed.", "")
