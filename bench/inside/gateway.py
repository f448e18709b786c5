"""Runs inside an instance: send the same requests to Ollama and to the gateway in front of it, one after the other.

Reads from standard input: pairs, model, direct and gateway (ports). Prints pairs of milliseconds, direct and through
the gateway: to the first token of a chat of one token, and to the end of an answer that needs no model. Self-contained:
standard library only.
"""

from __future__ import annotations

import http.client
import json
import sys
import time

WARM_UPS = 3


def milliseconds(port: int, method: str, path: str, body: object = None) -> float:
    """From sending the request on an open connection to the first piece of its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.connect()
    text = None if body is None else json.dumps(body)
    began = time.perf_counter()
    connection.request(method, path, text, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read1(65536)
    first = time.perf_counter()
    answer.read()
    connection.close()
    if answer.status != 200:
        sys.exit(f"{method} {path} at port {port} returned status {answer.status}")
    return 1000 * (first - began)


def pairs(count: int, direct: int, gateway: int, method: str, path: str, body: object = None) -> list[list[float]]:
    """Direct and through the gateway. The order alternates, so that neither benefits from the other."""
    for _ in range(WARM_UPS):
        milliseconds(direct, method, path, body)
    found = []
    for number in range(count):
        ports = [direct, gateway] if number % 2 else [gateway, direct]
        times = {port: milliseconds(port, method, path, body) for port in ports}
        found.append([times[direct], times[gateway]])
    return found


def main() -> None:
    request = json.load(sys.stdin)
    chat = {
        "model": request["model"],
        "messages": [{"role": "user", "content": "The capital of France is"}],
        "options": {"num_predict": 1},
    }
    ports = (request["direct"], request["gateway"])
    results = {
        "chats": pairs(request["pairs"], *ports, "POST", "/api/chat", chat),
        "versions": pairs(request["pairs"], *ports, "GET", "/api/version"),
    }
    print(json.dumps(results))


main()
