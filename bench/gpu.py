"""Measure one GPU: `sudo make gpu-figures`, or `python -m bench.gpu [--json] [--model NAME] [--folder PATH]`

The role's systemd unit serves a model of random weights in the shape of NAME on the first GPU, next to the instances
that serve production. Users without think time query it, 1 to 32 at once, twice at each number: with prompts of a few
tokens, to measure decoding speed alone, and with long prompts, to measure the time to the first token. The figures go
to a file that `ollama-gpu capacity` reads instead of its priors. An 8B takes about six minutes; keep other load off the
GPU meanwhile.

With `--url`, an Ollama that already runs, with `--slots` slots, is measured instead, on whatever hardware it computes.
This is a trial: nothing is saved. That Ollama must accept models (`POST /api/create`).
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

from bench import random_model, streams
from bench.measure import say
from bench.ollama import Asker, Ollama
from bench.random_model import Written
from ollama_gpu.core.console import print_table
from ollama_gpu.core.errors import UserError
from ollama_gpu.models import memory
from ollama_gpu.models.memory import GIB, Serving
from ollama_gpu.planning import measured, models
from ollama_gpu.planning.measured import Measured, Point
from ollama_gpu.planning.models import Model
from ollama_gpu.planning.quantiles import Quantiles
from tests.gpu import host, scratch

STREAMS = (1, 4, 8, 16, 32)
PROMPT_TOKENS, ANSWER_TOKENS = 700, 128  # the planner's prior for the length of a prompt
SLOTS, CONTEXT = max(STREAMS), 1024  # a slot holds the prompt and the answer
SECONDS = 20.0

_SHORT = 16
_PRODUCT = Path("/sys/class/dmi/id/product_name")  # on EC2, the instance type


@dataclass(frozen=True)
class Load:
    """``streams``: numbers of users at once, each for ``seconds``; lengths in tokens; ``slots`` of the Ollama."""

    streams: Sequence[int] = STREAMS
    seconds: float = SECONDS
    slots: int = SLOTS
    prompt_tokens: int = PROMPT_TOKENS
    answer_tokens: int = ANSWER_TOKENS


@dataclass(frozen=True)
class Machine:
    """The machine under test: the driver's name of the GPU, and its used and free memory (bytes)."""

    name: str
    gpu: str = "none"
    driver: str = "none"
    used: int = 0
    free: int = 0


def machine(uuid: str = "") -> Machine:
    """Describe this machine with one of its GPUs. Raises UserError if that GPU does not answer."""
    name = _PRODUCT.read_text(encoding="utf-8").strip() if _PRODUCT.exists() else "unknown"
    if not uuid:
        return Machine(name or "unknown")
    fields = "name,driver_version,memory.used,memory.free"
    answer = host.answer(["nvidia-smi", "-i", uuid, f"--query-gpu={fields}", "--format=csv,noheader,nounits"])
    values = [each.strip() for each in answer.split(",")]
    if len(values) != 4:
        raise UserError(f"{uuid} does not answer.", "Check it with `nvidia-smi`.")
    return Machine(name or "unknown", values[0], values[1], int(values[2]) << 20, int(values[3]) << 20)


def require_room(where: Machine, model: Model, file: Written) -> None:
    """Raise UserError if the GPU's free memory does not hold the model with all slots."""
    serving = Serving(SLOTS, CONTEXT)
    need = memory.need(model.model_copy(update={"weights_gb": file.weights_bytes / 1e9}).shape, serving)
    if need.total > where.free:
        raise UserError(
            f"{where.gpu} has {where.free / GIB:.1f} GiB free: {memory.explain([need], serving)}.",
            "Stop the serving instances meanwhile (`systemctl stop 'ollama@*'`), or use a smaller --model.",
        )


def measure_host(unit: scratch.Scratch, model: Model, mix: str, load: Load) -> Measured:
    """Measure this host's first GPU with a separate unit. Raises UserError if the model does not fit or serve."""
    say(f"writing {model.name} {mix}")
    file = random_model.write(model, mix, unit.locations.folder / "model.gguf")
    where = machine(unit.gpu)
    require_room(where, model, file)
    unit.serve(file)
    file.path.unlink()
    started = unit.start(OLLAMA_NUM_PARALLEL=str(load.slots), OLLAMA_CONTEXT_LENGTH=str(CONTEXT))
    if not started.good:
        raise UserError(f"{scratch.UNIT} does not serve: {started.log.splitlines()[-1:]}", "See its journal.")
    return measure(unit.ollama, scratch.MODEL, model, file, mix, where, load)


def measure_running(url: str, model: Model, mix: str, load: Load) -> Measured:
    """Measure an Ollama that already runs. Removes the model again."""
    ollama = Ollama(url)
    with tempfile.TemporaryDirectory() as folder:
        file = random_model.write(model, mix, Path(folder) / "model.gguf")
        ollama.create(scratch.MODEL, file)
    try:
        return measure(ollama, scratch.MODEL, model, file, mix, machine(), load)
    finally:
        ollama.remove(scratch.MODEL)


def measure(ollama: Ollama, name: str, model: Model, file: Written, mix: str, where: Machine, load: Load) -> Measured:
    """Measure a model that Ollama has. Raises UserError if an answer is refused or cut off."""
    loaded = ollama.load(name)
    if load.prompt_tokens + 1 + load.answer_tokens > loaded.context:  # Ollama would drop the beginning and go on
        raise UserError(
            f"A slot holds {loaded.context} tokens: too few for a prompt of {load.prompt_tokens} and an answer of "
            f"{load.answer_tokens}.",
            "Use shorter prompts and answers, or set a larger OLLAMA_CONTEXT_LENGTH for that Ollama.",
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
    say(f"{number} streams")
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
            f"{len(short)} of {len(found)} answers at {number} streams were refused or cut off.",
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
    print(
        f"Time to first token with prompts of {found.prompt_tokens} tokens, all at once; "
        f"answers of {found.answer_tokens} tokens."
    )


def main(arguments: Sequence[str], known: Mapping[str, Model] | None = None) -> int:
    parser = ArgumentParser(prog="python -m bench.gpu", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="llama3.1:8b", help="shape, from planning/models.yaml (%(default)s)")
    parser.add_argument("--mix", default="q4_k_m", choices=random_model.FILE_TYPES)
    parser.add_argument("--folder", type=Path, default=measured.FOLDER, help="where to save the figures (%(default)s)")
    parser.add_argument("--url", help="an Ollama that already runs")
    parser.add_argument("--slots", type=int, default=SLOTS, help="number of its slots (%(default)s)")
    parser.add_argument("--streams", default=",".join(map(str, STREAMS)), help="numbers of users at once (%(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each number, twice (%(default)s)")
    parser.add_argument("--prompt-tokens", type=int, default=PROMPT_TOKENS, help="of the long prompts (%(default)s)")
    parser.add_argument("--answer-tokens", type=int, default=ANSWER_TOKENS, help="of every answer (%(default)s)")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    numbers = tuple(map(int, given.streams.split(",")))
    load = Load(numbers, given.seconds, given.slots, given.prompt_tokens, given.answer_tokens)
    try:
        model = known[given.model] if known else models.of(given.model)
        if given.url:
            found = measure_running(given.url, model, given.mix, load)
        elif reason := host.not_run():
            raise UserError(f"Not measured: this {reason}.")
        else:
            with scratch.scratch() as unit:
                found = measure_host(unit, model, given.mix, load)
            say(f"saved to {measured.write(found, given.folder)}")
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
