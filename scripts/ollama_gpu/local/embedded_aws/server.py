"""The process of the embedded AWS: ``python -m ollama_gpu.local.embedded_aws.server --host 127.0.0.1 --port N``.

All state is in memory. It outlives the commands of the driver but not the process, whose end also removes the Terraform
state, because that is in the embedded AWS's S3.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from types import FrameType

from .application import build

AUTOSCALING_INTERVAL_SECONDS = 1.0
ALARM_INTERVAL_SECONDS = 5.0
HOST_COUNT_INTERVAL_SECONDS = 30.0


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT. Exits 1 with a one-line message if the address is not available."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name if __spec__ else __name__}")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, required=True, help="TCP port to listen on")
    parser.add_argument("--fd", type=int, help="inherited socket that already listens on the address")
    parser.add_argument("--region", default="us-east-1", help="region in which the account is populated at start")
    parsed = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # one line per request would fill the disk

    signal.signal(signal.SIGTERM, _exit)
    signal.signal(signal.SIGINT, _exit)
    serve(parsed.host, parsed.port, parsed.region, parsed.fd)


def serve(host: str, port: int, region: str, fd: int | None = None) -> None:
    """Build the application, start the periodic tasks and serve requests until the process ends."""
    application = build(region)

    from moto.moto_server.werkzeug_app import MotoRequestHandler
    from werkzeug.serving import make_server

    from .autoscaling import start_ticker
    from .completions import cloudwatch_evaluation, elbv2_metrics
    from .completions.periodic import every

    server = make_server(host, port, application, threaded=True, request_handler=MotoRequestHandler, fd=fd)
    start_ticker(AUTOSCALING_INTERVAL_SECONDS)
    every(ALARM_INTERVAL_SECONDS, "alarms", cloudwatch_evaluation.evaluate_everything)
    every(HOST_COUNT_INTERVAL_SECONDS, "host counts", elbv2_metrics.publish_everything)
    logging.getLogger(__name__).info("listening on http://%s:%d", host, server.port)
    with server:
        server.serve_forever()


def _exit(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
