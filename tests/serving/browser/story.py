"""An administrator and a user in a real browser; writes a report that the tests check.

    story.py REPORT-FOLDER < {"url", "leads_to", "administrator": {...}, "user": {...}, "question", "document": {...}}

Runs inside the browser's container. An error ends it with a screenshot of the page and Playwright's message.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pages
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Response, expect, sync_playwright

WAIT_MS = 30_000  # a process that has just started is slow at its first page
SIZE = {"width": 1280, "height": 800}
SERVER = "AWSALB"  # the load balancer's cookie: it identifies the instance that serves this browser


class Story:
    """``inputs`` is the input, ``seen`` the report."""

    def __init__(self, browser: Browser, folder: Path, inputs: dict[str, Any]) -> None:
        self._browser, self._folder, self._inputs = browser, folder, inputs
        self._url: str = inputs["url"]
        self._user = pages.Account(**inputs["user"])
        self.seen: dict[str, Any] = {"console": [], "failures": [], "seconds": {}}

    def run(self) -> None:
        with self._step("administrator"), self._visitor() as page:
            self._administrator(page)
        with self._visitor() as page:
            with self._step("chat"):
                self._chat(page)
            with self._step("document"):
                self._document(page)
        with self._step("other instance"), self._visitor() as page:
            self._other_instance(page)

    def _administrator(self, page: Page) -> None:
        page.goto(self._url)
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        self.seen["sign_up_buttons"] = page.get_by_text("Sign up").count()
        self._picture(page, "sign-in")
        pages.sign_in(page, self._url, pages.Account(**self._inputs["administrator"]))
        pages.add_user(page, self._url, self._user)
        self._picture(page, "users")

    def _chat(self, page: Page) -> None:
        pages.sign_in(page, self._url, self._user)
        self.seen["answer"] = pages.ask(page, self._inputs["question"])
        page.wait_for_url("**/c/*")
        self.seen["chat"] = page.url.rpartition("/")[2]
        self._keep_errors(page, self.seen["chat"])
        self.seen["server"] = self._server(page.context)
        self._picture(page, "chat")

    def _document(self, page: Page) -> None:
        document = self._inputs["document"]
        page.goto(self._url)
        pages.attach(page, document["name"], document["text"])
        self.seen["document_answer"] = pages.ask(page, document["question"])
        page.wait_for_url("**/c/*")
        self.seen["document_chat"] = page.url.rpartition("/")[2]
        kept = self._keep_errors(page, self.seen["document_chat"])
        self.seen["sources"] = [source for message in kept for source in message.get("sources") or []]
        self._picture(page, "document")

    def _keep_errors(self, page: Page, chat: str) -> list[dict[str, Any]]:
        """Return a chat's messages and report errors in its answers, which look like answers on the page."""
        messages = pages.messages(page, chat)
        self.seen["failures"] += [f"answer: {message['error']}" for message in messages if message.get("error")]
        return messages

    def _other_instance(self, page: Page) -> None:
        for _ in range(30):
            page.goto(f"{self._url}/auth")
            self.seen["other_server"] = self._server(page.context)
            if self.seen["other_server"] != self.seen["server"]:
                break
            page.context.clear_cookies()
        pages.sign_in(page, self._url, self._user)
        pages.open_chat(page, self.seen["chat"])
        expect(pages.answers(page)).to_have_count(1)
        self.seen["history"] = {
            "question": page.locator(".chat-user").inner_text().strip(),
            "answer": pages.answers(page).inner_text().strip(),
        }
        self.seen["final_server"] = self._server(page.context)
        self._picture(page, "history")

    @contextmanager
    def _visitor(self) -> Iterator[Page]:
        """A fresh browser; records every error that it reports."""
        context = self._browser.new_context(viewport=SIZE, locale="en-US")
        context.set_default_timeout(WAIT_MS)
        expect.set_options(timeout=WAIT_MS)
        page = context.new_page()
        pages.news_are_closed(page)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.seen["console"].append(f"uncaught: {error}"))
        page.on("response", self._response)
        try:
            yield page
        except Exception:
            self._picture(page, "failure")
            raise
        finally:
            context.close()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.seen["console"].append(f"{message.text} ({message.location.get('url')})")

    def _response(self, answer: Response) -> None:
        if answer.status >= 400:
            self.seen["failures"].append(f"{answer.status} {answer.request.method} {answer.url}")

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seen["seconds"][name] = round(time.monotonic() - began, 1)

    def _server(self, context: BrowserContext) -> str | None:
        values = (cookie["value"] for cookie in context.cookies() if cookie["name"] == SERVER)
        return next((value.partition("|")[0] for value in values), None)  # after "|" comes the time of last use

    def _picture(self, page: Page, name: str) -> None:
        page.screenshot(path=self._folder / f"{name}.png")


def main(folder: Path) -> None:
    inputs = json.load(sys.stdin)
    leads = f"MAP {urlsplit(inputs['url']).netloc} {inputs['leads_to']}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            # A container has no user namespaces for Chromium's sandbox; the opened page is our own.
            args=["--no-sandbox", "--disable-dev-shm-usage", f"--host-resolver-rules={leads}"],
        )
        story = Story(browser, folder, inputs)
        try:
            story.run()
        finally:
            (folder / "report.json").write_text(json.dumps(story.seen, indent=1), encoding="utf-8")
            browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
