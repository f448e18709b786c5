"""The run itself: users chat, samples are taken every minute, and the scheduled events happen."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.soak import events, rehearsals
from bench.soak.events import Scene
from bench.soak.people import HABITS, TITLE, People
from bench.soak.report import EventResult, Run
from bench.soak.samples import Lab, Sample
from bench.soak.schedule import Event, Schedule
from ollama_gpu.core.errors import UserError
from ollama_gpu.environment.context import embedded_aws
from ollama_gpu.local.lab import lab as local_lab
from ollama_gpu.local.lab import names
from tests.serving import fleet
from tests.serving.conftest import Serving
from tests.serving.fleet import WHOLE_SECONDS
from tests.serving.traffic import Failed, chatting, sign_in

ACTIONS = {**events.ACTIONS, **rehearsals.ACTIONS}
WELL_SECONDS = 180


def soak(serving: Serving, schedule: Schedule, folder: Path) -> Run:
    """Run a schedule to its end, or to Ctrl-C. The result contains all problems; the lab is left as it was."""
    release = deployed_release(serving)
    began = time.monotonic()
    happened: list[EventResult] = []
    samples: list[Sample] = []
    interrupted = False
    people = People(serving.chat_address, sign_in(serving.chat_address, serving.administrator), len(HABITS), 10, 2)
    scene = Scene(serving, people, release, folder)
    try:
        with ExitStack() as stack:
            # As in tests/serving: users must meet two instances, not as many as this machine's processors suggest.
            stack.enter_context(fleet.suspended(serving, "AlarmNotification"))
            say("waiting for a whole fleet")
            fleet.until(lambda: fleet.whole(serving), "whole fleet", WHOLE_SECONDS)
            stack.enter_context(chatting(people))
            began = time.monotonic()  # from here on every user has had an answer
            people.chats.clear()
            stack.enter_context(sampling(sampled_lab(serving), samples, sample_interval(schedule.seconds)))
            for planned in schedule.planned:
                sleep_until(began + planned.at)
                say(f"{planned.event.name} ({(time.monotonic() - began) / 60:.1f} min)")
                run_event(scene, planned.event, happened)
            sleep_until(began + schedule.seconds)
    except KeyboardInterrupt:
        interrupted = True
        say("interrupted; this is the report so far")
    try:
        people.tidy()
    except Failed as failure:
        say(f"chats titled {TITLE} may be left: {failure}")
    elsewhere = (
        f"release {release} is no longer deployed; run: ollama-gpu rollback {release} --env local"
        if scene.elsewhere
        else ""
    )
    return Run(
        began, time.monotonic(), list(people.chats), happened, samples, schedule.left_out, interrupted, elsewhere
    )


def run_event(scene: Scene, event: Event, happened: list[EventResult]) -> None:
    """Run an event, and wait until every user has had an answer and no chat has failed for a while."""
    began, ended, trouble = time.monotonic(), 0.0, ""
    try:
        ACTIONS[event.name](scene)
        ended = time.monotonic()
        scene.people.settle(time.monotonic(), WELL_SECONDS)
    except (AssertionError, UserError) as error:
        trouble = str(error) or type(error).__name__
        say(f"{event.name}: {trouble}")
    finally:  # Ctrl-C can come during an event
        happened.append(EventResult(event.name, began, ended or time.monotonic(), event.allowed_seconds, trouble))


def deployed_release(serving: Serving) -> int:
    """The number of the deployed release. Raises UserError if there is none."""
    listed = serving.driver.run("releases", "--env", "local", "--json")
    numbers: list[int] = [each["number"] for each in listed.json if each["outcome"] == "deployed"] if listed.out else []
    if not numbers:
        raise UserError("ENV=local has no deployed release.", "Deploy one first: make deploy ENV=local")
    return numbers[0]


def sampled_lab(serving: Serving) -> Lab:
    """The processes to sample: the lab's containers, the embedded AWS and the follower."""
    context = serving.context
    aws = embedded_aws(context.paths, context.environment.region).running()
    follower = local_lab.Lab(context).follower.running()
    found = {"embedded-aws": aws.pid if aws else None, "follower": follower}
    return Lab(serving.docker, names.prefix(context), {name: pid for name, pid in found.items() if pid})


@contextmanager
def sampling(where: Lab, samples: list[Sample], seconds: float) -> Iterator[None]:
    """Take a sample now, every ``seconds`` seconds until the end of the block, and once more then."""
    leave = threading.Event()

    def look() -> None:
        while True:
            try:
                samples.append(where.look())
            except UserError as error:  # a container ended while it was sampled
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


def sample_interval(seconds: float) -> float:
    """Seconds between two samples: a minute in an hour's run, less in a shorter one."""
    return min(60.0, max(10.0, seconds / 60))


def sleep_until(until: float) -> None:
    time.sleep(max(0.0, until - time.monotonic()))


def say(text: str) -> None:
    print(f"soak: {text}", file=sys.stderr, flush=True)
