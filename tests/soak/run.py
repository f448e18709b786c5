"""The run itself: people chat, somebody looks every minute, and what the schedule says happens."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ollama_gpu.context import embedded_aws
from ollama_gpu.errors import UserError
from ollama_gpu.lab import names
from ollama_gpu.lab.plane import Plane
from tests.serving import fleet
from tests.serving.conftest import Serving
from tests.serving.fleet import WHOLE_SECONDS
from tests.serving.traffic import Failed, chatting, sign_in
from tests.soak import events, rehearsals
from tests.soak.events import Scene
from tests.soak.people import HABITS, TITLE, People
from tests.soak.report import Happened, Run
from tests.soak.samples import Lab, Sample
from tests.soak.schedule import Event, Schedule

ACTIONS = {**events.ACTIONS, **rehearsals.ACTIONS}
WELL_SECONDS = 180


def soak(serving: Serving, schedule: Schedule, folder: Path) -> Run:
    """Run a schedule to its end, or to Ctrl-C. What goes wrong is in what it returns; the lab stays as it was."""
    release = standing(serving)
    began = time.monotonic()
    happened: list[Happened] = []
    samples: list[Sample] = []
    interrupted = False
    people = People(serving.door, sign_in(serving.door, serving.administrator), len(HABITS), 10, 2)
    scene = Scene(serving, people, release, folder)
    try:
        with ExitStack() as stack:
            # As in tests/serving: people are to meet two instances, not as many as this machine's processors suggest.
            stack.enter_context(fleet.suspended(serving, "AlarmNotification"))
            say("waiting for a whole fleet")
            fleet.until(lambda: fleet.whole(serving), "whole fleet", WHOLE_SECONDS)
            stack.enter_context(chatting(people))
            began = time.monotonic()  # from here on everybody has had an answer
            people.chats.clear()
            stack.enter_context(looking(lab(serving), samples, every(schedule.seconds)))
            for planned in schedule.planned:
                rest(began + planned.at)
                say(f"{planned.event.name} ({(time.monotonic() - began) / 60:.1f} min)")
                happen(scene, planned.event, happened)
            rest(began + schedule.seconds)
    except KeyboardInterrupt:
        interrupted = True
        say("interrupted: this is the report so far")
    try:
        people.tidy()
    except Failed as failure:
        say(f"chats called {TITLE} may be left: {failure}")
    elsewhere = (
        f"another release stands than {release}: ollama-gpu rollback {release} --env local" if scene.elsewhere else ""
    )
    return Run(
        began, time.monotonic(), list(people.chats), happened, samples, schedule.left_out, interrupted, elsewhere
    )


def happen(scene: Scene, event: Event, happened: list[Happened]) -> None:
    """Let an event happen, and wait until every person has had an answer and nobody's failed for a while."""
    began, ended, trouble = time.monotonic(), 0.0, ""
    try:
        ACTIONS[event.name](scene)
        ended = time.monotonic()
        scene.people.settle(time.monotonic(), WELL_SECONDS)
    except (AssertionError, UserError) as error:
        trouble = str(error) or type(error).__name__
        say(f"{event.name}: {trouble}")
    finally:  # Ctrl-C comes in the midst of one
        happened.append(Happened(event.name, began, ended or time.monotonic(), event.allowed_seconds, trouble))


def standing(serving: Serving) -> int:
    """The number of the release that stands. Raises UserError where none does."""
    listed = serving.driver.run("releases", "--env", "local", "--json")
    numbers: list[int] = [each["number"] for each in listed.json if each["outcome"] == "deployed"] if listed.out else []
    if not numbers:
        raise UserError("No release of ENV=local stands.", "Deploy it first: make deploy ENV=local")
    return numbers[0]


def lab(serving: Serving) -> Lab:
    """What is looked at: the containers of the lab, the embedded AWS and the follower."""
    context = serving.context
    aws = embedded_aws(context.paths, context.environment.region).running()
    follower = Plane(context).follower.running()
    found = {"embedded-aws": aws.pid if aws else None, "follower": follower}
    return Lab(serving.docker, names.prefix(context), {name: pid for name, pid in found.items() if pid})


@contextmanager
def looking(where: Lab, samples: list[Sample], seconds: float) -> Iterator[None]:
    """Look now and every so many seconds until the end of the block, and once more then."""
    leave = threading.Event()

    def look() -> None:
        while True:
            try:
                samples.append(where.look())
            except UserError as error:  # a container that goes while it is looked at
                say(f"no sample: {error.message}")
            if leave.wait(seconds):
                return

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        leave.set()
        thread.join(60)


def every(seconds: float) -> float:
    """Seconds between two looks: a minute in an hour's run, less in a shorter one."""
    return min(60.0, max(10.0, seconds / 60))


def rest(until: float) -> None:
    time.sleep(max(0.0, until - time.monotonic()))


def say(text: str) -> None:
    print(f"soak: {text}", file=sys.stderr, flush=True)
