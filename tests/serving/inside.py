"""Runs inside an instance: send chats to its gateway from Open WebUI's side, and print the response to each.

Arguments: number of chats that run or wait, number of chats sent meanwhile, tokens of an answer, prefix of the request
ids. Self-contained, because it runs with the instance's own Python: standard library only.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time


def chat(identifier: str, tokens: int, seen: list[dict[str, object]]) -> None:
    """Stream one chat; times in milliseconds from the request to the first piece and to the end of the answer."""
    body = {
        "model": "gemma3:270m",
        "messages": [{"role": "user", "content": "Count to one hundred:"}],
        "options": {"num_predict": tokens},
    }
    connection = http.client.HTTPConnection("127.0.0.1", 11434, timeout=60)
    connection.connect()
    began = time.monotonic()
    connection.request(
        "POST", "/api/chat", json.dumps(body), {"Content-Type": "application/json", "X-Request-Id": identifier}
    )
    answer = connection.getresponse()
    first, text = 0.0, b""
    while piece := answer.read1(65536):
        first = first or time.monotonic()
        text += piece
    ended = time.monotonic()
    seen.append(
        {
            "id": identifier,
            "status": answer.status,
            "retry_after": answer.getheader("Retry-After"),
            "whole": b'"done":true' in text,
            "first_ms": 1000 * ((first or ended) - began),
            "total_ms": 1000 * (ended - began),
            "began": began,
            "ended": ended,
        }
    )
    connection.close()


def main() -> None:
    taken, more, tokens, name = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    held: list[dict[str, object]] = []
    refused: list[dict[str, object]] = []
    threads = [threading.Thread(target=chat, args=(f"{name}-held-{each}", tokens, held)) for each in range(taken)]
    for thread in threads:
        thread.start()
        time.sleep(0.02)
    time.sleep(0.3)  # the chats have reached slots and queue
    for each in range(more):
        chat(f"{name}-more-{each}", tokens, refused)
    for thread in threads:
        thread.join()
    print(json.dumps({"held": held, "more": refused}))


main()
