"""What one GPU gives: `sudo make gpu-figures`, or `python -m tests.bench.gpu [--json] [--model NAME] [--folder PATH]`

A model of random weights in the shape of NAME is served by the role's own unit, beside those that serve, on the first
GPU; users who never pause ask it, 1 to 32 at once. Twice at each number: with prompts of a few tokens, for the speed of
decoding alone, and with long ones, for the time to the first token. The figures go into a file that `ollama-gpu
capacity` reads in the place of its priors. An 8B takes about six minutes; nobody else should use the GPU meanwhile.

With `--url` an Ollama that runs already, with `--slots` slots, is measured, wherever it computes: a trial, nothing is
kept. It must take models (`POST /api/create`).
"""

from __future__ import annotations

import datetime
import statistics
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ollama_gpu import model_memory
from ollama_gpu.capacity import measured, models
from ollama_gpu.capacity.measured import Measured, Point
from ollama_gpu.capacity.models import Model
from ollama_gpu.capacity.quantiles import Quantiles
from ollama_gpu.console import print_table
from ollama_gpu.errors import UserError
from ollama_gpu.model_memory import GIB, Serving
from tests.bench import random_model, streams
from tests.bench.measure import say
from tests.bench.ollama import Asker, Ollama
from tests.bench.random_model import Written
from tests.gpu import host, scratch

STREAMS = (1, 4, 8, 16, 32)
PROMPT_TOKENS, ANSWER_TOKENS = 700, 128  # the planner's prior of a prompt
SLOTS, CONTEXT = max(STREAMS), 1024  # a slot holds prompt and answer
SECONDS = 20.0

_SHORT = 16
_PRODUCT = Path("/sys/class/dmi/id/product_name")  # on EC2 the instance type


@dataclass(frozen=True)
class Load:
    """``streams`` at once, each number for ``seconds``; lengths in tokens; ``slots`` that the Ollama has."""

    streams: Sequence[int] = STREAMS
    seconds: float = SECONDS
    slots: int = SLOTS
    prompt_tokens: int = PROMPT_TOKENS
    answer_tokens: int = ANSWER_TOKENS


@dataclass(frozen=True)
class Machine:
    """What is measured: the driver's name of the GPU, its memory that is taken and free (bytes)."""

    name: str
    gpu: str = "none"
    driver: str = "none"
    used: int = 0
    free: int = 0


def machine(uuid: str = "") -> Machine:
    """This machine with one of its GPUs. UserError where that does not answer."""
    name = _PRODUCT.read_text(encoding="utf-8").strip() if _PRODUCT.exists() else "unknown"
    if not uuid:
        return Machine(name or "unknown")
    fields = "name,driver_version,memory.used,memory.free"
    asked = host.answer(["nvidia-smi", "-i", uuid, f"--query-gpu={fields}", "--format=csv,noheader,nounits"])
    values = [each.strip() for each in asked.split(",")]
    if len(values) != 4:
        raise UserError(f"{uuid} does not answer.", "Ask `nvidia-smi`.")
    return Machine(name or "unknown", values[0], values[1], int(values[2]) << 20, int(values[3]) << 20)


def require_room(where: Machine, model: Model, file: Written) -> None:
    """UserError where the GPU's free memory does not hold the model with all slots."""
    serving = Serving(SLOTS, CONTEXT)
    need = model_memory.need(model.model_copy(update={"weights_gb": file.weights_bytes / 1e9}).shape, serving)
    if need.total > where.free:
        raise UserError(
            f"{where.gpu} has {where.free / GIB:.1f} GiB free: {model_memory.explain([need], serving)}.",
            "Stop the instances that serve meanwhile (`systemctl stop 'ollama@*'`), or take a smaller --model.",
        )


def on_gpu(unit: scratch.Scratch, model: Model, mix: str, load: Load) -> Measured:
    """The figures of this host's first GPU, by a unit of its own. UserError where the model does not fit or serve."""
    say(f"writing {model.name} {mix}")
    file = random_model.write(model, mix, unit.places.folder / "model.gguf")
    where = machine(unit.gpu)
    require_room(where, model, file)
    unit.serve(file)
    file.path.unlink()
    started = unit.start(OLLAMA_NUM_PARALLEL=str(load.slots), OLLAMA_CONTEXT_LENGTH=str(CONTEXT))
    if not started.good:
        raise UserError(f"{scratch.UNIT} does not serve: {started.said.splitlines()[-1:]}", "Its journal says why.")
    return measure(unit.ollama, scratch.MODEL, model, file, mix, where, load)


def elsewhere(url: str, model: Model, mix: str, load: Load) -> Measured:
    """The figures of an Ollama that runs already; its model is removed again."""
    ollama = Ollama(url)
    with tempfile.TemporaryDirectory() as folder:
        file = random_model.write(model, mix, Path(folder) / "model.gguf")
        ollama.create(scratch.MODEL, file)
    try:
        return measure(ollama, scratch.MODEL, model, file, mix, machine(), load)
    finally:
        ollama.remove(scratch.MODEL)


def measure(ollama: Ollama, name: str, model: Model, file: Written, mix: str, where: Machine, load: Load) -> Measured:
    """The figures of a model that Ollama has. UserError where an answer is refused or cut off."""
    loaded = ollama.load(name)
    if load.prompt_tokens + 1 + load.answer_tokens > loaded.context:  # Ollama would forget the beginning, and go on
        raise UserError(
            f"A slot holds {loaded.context} tokens: too few for {load.prompt_tokens} and an answer of "
            f"{load.answer_tokens}.",
            "Ask for less, or give the Ollama a longer OLLAMA_CONTEXT_LENGTH.",
        )
    say(f"{name} is loaded, {loaded.on_gpu / max(1, loaded.size):.0%} of it on a GPU; warming up")
    ollama.answer(name, load.prompt_tokens, load.answer_tokens)
    counts = [ollama.answer(name, load.prompt_tokens, 1)[1] for _ in range(5)]
    prompts = [1e9 * each["prompt_eval_count"] / each["prompt_eval_duration"] for each in counts]
    return Measured(
        gpu=where.gpu,
        machine=where.name,
        driver=where.driver,
        ollama=ollama.version(),
        date=datetime.datetime.now(datetime.UTC).date(),
        model=model.name,
        parameters=model.parameters,
        mix=mix,
        weights_bytes=file.weights_bytes,
        size=loaded.size,
        on_gpu=loaded.on_gpu,
        used_before=where.used,
        slots=load.slots,
        context=loaded.context,
        prompt_tokens=load.prompt_tokens,
        answer_tokens=load.answer_tokens,
        prompt_rate=statistics.median(prompts),
        points=tuple(_point(ollama, name, number, load) for number in load.streams),
    )


def _point(ollama: Ollama, name: str, number: int, load: Load) -> Point:
    say(f"{number} at once")
    decoding = _answers(ollama, name, number, load, _SHORT)
    waiting = _answers(ollama, name, number, load, load.prompt_tokens)
    waits = Quantiles()
    for answer in waiting:
        waits.add(answer.first - answer.began)
    return Point(
        streams=number,
        tokens_per_second=statistics.median((each.tokens - 1) / (each.ended - each.first) for each in decoding),
        first_token_p50=waits.at(0.5),
        first_token_p95=waits.at(0.95),
        answers=len(decoding) + len(waiting),
    )


def _answers(ollama: Ollama, name: str, number: int, load: Load, prompt: int) -> list[streams.Answer]:
    found = streams.run(lambda: Asker(ollama, name, prompt, load.answer_tokens), number, load.seconds)
    short = [each for each in found if each.tokens != load.answer_tokens]
    if short or not found:
        raise UserError(
            f"{len(short)} of {len(found)} answers of {number} at once were refused or cut off.",
            f"Read the journal of the Ollama at {ollama.url}.",
        )
    return found


def show(found: Measured) -> None:
    rows = [
        (
            str(point.streams),
            f"{point.tokens_per_second:.1f}",
            f"{point.together:.1f}",
            f"{point.first_token_p50:.2f} s",
            f"{point.first_token_p95:.2f} s",
            str(point.answers),
        )
        for point in found.points
    ]
    columns = ("streams", "tokens/s each", "together", "first token p50", "p95", "answers")
    print_table(f"{found.source}: {found.prompt_rate:.0f} prompt tokens/s", columns, rows)
    print(f"First token behind prompts of {found.prompt_tokens} tokens, all at once; answers of {found.answer_tokens}.")


def main(arguments: Sequence[str], known: Mapping[str, Model] | None = None) -> int:
    parser = ArgumentParser(prog="python -m tests.bench.gpu", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="llama3.1:8b", help="whose shape, of capacity/models.yaml (%(default)s)")
    parser.add_argument("--mix", default="q4_k_m", choices=random_model.FILE_TYPES)
    parser.add_argument("--folder", type=Path, default=measured.FOLDER, help="where the figures are kept (%(default)s)")
    parser.add_argument("--url", help="an Ollama that runs already")
    parser.add_argument("--slots", type=int, default=SLOTS, help="what it has of them (%(default)s)")
    parser.add_argument("--streams", default=",".join(map(str, STREAMS)), help="numbers at once (%(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each of them, twice (%(default)s)")
    parser.add_argument("--prompt-tokens", type=int, default=PROMPT_TOKENS, help="of the long ones (%(default)s)")
    parser.add_argument("--answer-tokens", type=int, default=ANSWER_TOKENS, help="of every answer (%(default)s)")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    numbers = tuple(map(int, given.streams.split(",")))
    load = Load(numbers, given.seconds, given.slots, given.prompt_tokens, given.answer_tokens)
    try:
        model = known[given.model] if known else models.of(given.model)
        if given.url:
            found = elsewhere(given.url, model, given.mix, load)
        elif reason := host.not_run():
            raise UserError(f"Not measured: this {reason}.")
        else:
            with scratch.scratch() as unit:
                found = on_gpu(unit, model, given.mix, load)
            say(f"kept in {measured.write(found, given.folder)}")
    except UserError as error:
        print(f"error: {error.message}\n{error.remedy or ''}".rstrip(), file=sys.stderr)
        return error.status
    if given.json:
        print(found.model_dump_json(indent=2))
    else:
        show(found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
