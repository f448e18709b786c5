"""What a deploy of ENV=local will build and how long it will take, told before it begins."""

from __future__ import annotations

from dataclasses import dataclass

from ollama_gpu.bake import content, engine, plan
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import Paths
from ollama_gpu.environment.settings import Environment
from ollama_gpu.local.lab import host_settings, images, locations, supply
from ollama_gpu.local.lab.docker import Docker
from ollama_gpu.local.measured import MACHINE
from ollama_gpu.local.usual import ACCOUNT, CHAT, FABRIC, IMAGE_BUILD, IMAGE_CHECK, INSTANCES, MODEL_SET, Usual


@dataclass(frozen=True)
class Step:
    """A step of a deploy. ``seconds`` is 0 if it was never measured; ``what`` it makes, in words."""

    name: str
    seconds: float
    what: str


@dataclass(frozen=True)
class Forecast:
    """The steps of the next deploy; ``later`` has the seconds of one that finds image and supplies.

    ``source`` says on which machine the durations were measured. ``builds`` names what is built first.
    """

    steps: tuple[Step, ...]
    later: float
    source: str
    builds: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """The expected duration of the next deploy."""
        return sum(step.seconds for step in self.steps)

    @property
    def times(self) -> str:
        """`about 12 minutes here; later deploys about 4`, with the source of the figures."""
        if not self.seconds:
            return "no duration is known yet"
        later = f"; later deploys about {_minutes(self.later)}" if self.builds else ""
        return f"about {_minutes(self.seconds)} minutes here{later} ({self.source})"

    @property
    def headline(self) -> str:
        """The whole deploy in one line."""
        return f"{len(self.steps)} steps, {self.times}"


def of(paths: Paths, environment: Environment) -> Forecast:
    """Forecast a deploy of ENV=local from an empty account. Read-only; takes about a second."""
    where = locations.locate(paths)
    usual = Usual(where.cache)
    missing = supply.missing(where, Docker())
    image = bool(missing.steps) or not image_exists(paths, environment)
    rest = (MODEL_SET, FABRIC, INSTANCES, CHAT)
    builds = (*missing.steps, *(["machine image"] if image else []))
    keys = [*missing.steps, ACCOUNT, *keys_of_image(image), *rest]
    own = usual.is_of_this_machine(keys)
    first = max(usual.total([ACCOUNT]), missing.seconds(usual))
    making = ", ".join(missing.steps) or "nothing, they exist"
    steps = (
        Step("account and supplies", first, f"the embedded AWS's account; supplies to build: {making}"),
        Step("machine image", usual.total(keys_of_image(image)), "build and test it" if image else "it exists"),
        Step("model set", usual.total([MODEL_SET]), "upload the models to the artifact bucket"),
        Step("plan and apply", usual.total([FABRIC]), "Terraform creates the environment"),
        Step("instances", usual.total([INSTANCES]), "they boot, and pass the load balancer's checks"),
        Step("chat", usual.total([CHAT]), "ask a question as a user"),
    )
    later = usual.total([ACCOUNT, IMAGE_CHECK, *rest])
    return Forecast(steps, later, "measured on this machine" if own else f"measured on {MACHINE}", builds)


def keys_of_image(build: bool) -> list[str]:
    """Return the names under which a bake's duration is recorded."""
    return [IMAGE_CHECK, IMAGE_BUILD] if build else [IMAGE_CHECK]


def image_exists(paths: Paths, environment: Environment) -> bool:
    """Whether the container engine has the image that a bake without extra variables would build."""
    try:
        base = engine.image_id(images.BASE.reference(host_settings.read()))
        inputs = plan.inputs(paths, environment, "container", base, plan.roles(paths), {})
        key = content.key(inputs)
        return any(image.key == key for image in engine.baked())
    except UserError:
        return False  # no engine or no base image


def _minutes(seconds: float) -> int:
    return max(1, round(seconds / 60))
