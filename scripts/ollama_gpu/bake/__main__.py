"""Serve the bake's play: `python -m ollama_gpu.bake VERB --env NAME ...` prints its answer as JSON.

plan       decide what to do; the request is JSON on standard input
register   register a container image and return an image id (ENV=local)
publish    make an image the one that the environment uses
prune      remove old images that are not in use
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ollama_gpu.bake import engine, plan
from ollama_gpu.core.aws import explain
from ollama_gpu.core.errors import UserError
from ollama_gpu.environment import images
from ollama_gpu.environment.context import Context, open_context


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        answer = _run_verb(options)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.status
    except (BotoCoreError, ClientError) as error:
        print(explain(error), file=sys.stderr)
        return 1
    print(json.dumps(answer, indent=2))
    return 0


def _run_verb(options: argparse.Namespace) -> Any:
    context = open_context(options.env, start_embedded=True)
    match options.verb:
        case "plan":
            request = json.loads(sys.stdin.read() or "{}")
            return plan.make(context, plan.Request(**request))
        case "register":
            labels = json.loads(options.tags)
            return {"image_id": images.register_container(context, options.name, options.container, labels)}
        case "publish":
            return {"changed": images.publish(context, options.image)}
        case _:
            return {"removed": _prune(context, options.keep)}


def _prune(context: Context, keep: int) -> list[str]:
    used = images.in_use(context, versions=keep)
    removed = []
    known = images.baked(context)
    old = images.prunable(known, used, keep)
    for image in old:
        images.deregister(context.aws, image)
        removed.append(f"{image.name} ({image.identifier})")
    if context.environment.embedded:
        kept = {image.container for image in known if image not in old}
        # The embedded AWS loses its images when it stops, the container engine keeps them. Other checkouts' stay.
        own = [image for image in engine.baked() if image.work == str(context.paths.work)]
        for container in own[keep:]:
            if container.reference not in kept and engine.remove_image(container.reference):
                removed.append(container.reference)
    return removed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ollama_gpu.bake", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, options in {
        "plan": (),
        "register": ("--name", "--container", "--tags"),
        "publish": ("--image",),
        "prune": ("--keep",),
    }.items():
        sub = verbs.add_parser(verb)
        for option in ("--env", *options):
            sub.add_argument(option, required=True, type=int if option == "--keep" else str)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
