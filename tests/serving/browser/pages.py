"""Open WebUI's pages (0.12) as a user operates them: clicks, input, and expected elements.

Runs inside the browser's container, where this folder is the only part of the repository.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Locator, Page, expect

ANSWER_MS = 120_000  # a small model without a GPU, next to other load on two cores

# Records every change of the last answer's text: milliseconds since the question, the text and its length.
_WATCH = """() => {
    const began = performance.now();
    window.growth = [];
    new MutationObserver(() => {
        const answers = document.querySelectorAll('.chat-assistant');
        const text = answers.length ? answers[answers.length - 1].innerText.trim() : '';
        const last = window.growth.at(-1);
        if (text && (!last || text.length > last.length))
            window.growth.push({ms: Math.round(performance.now() - began), length: text.length, text: text});
    }).observe(document.body, {childList: true, subtree: true, characterData: true});
}"""


@dataclass(frozen=True)
class Account:
    name: str
    email: str
    password: str


def sign_in(page: Page, address: str, account: Account) -> None:
    """Sign in at the public address and wait for the chat page."""
    page.goto(address)
    page.locator("#email").fill(account.email)
    page.locator("#password").fill(account.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#chat-input")).to_be_visible()


def news_are_closed(page: Page) -> None:
    """Close the dialog with a new version's news whenever it appears, as users do; an administrator sees it once."""
    news = page.get_by_role("button", name="Okay, Let's Go!")
    page.add_locator_handler(news, lambda button: button.click())


def add_user(page: Page, address: str, account: Account) -> None:
    """Add an account as an administrator, and check that the list shows it."""
    page.goto(f"{address}/admin/users/overview")
    page.get_by_role("button", name="Add User").click()
    form = page.locator("form").filter(has=page.get_by_role("combobox", name="Role"))
    form.get_by_role("combobox", name="Role").select_option("user")
    form.get_by_role("textbox", name="Name").fill(account.name)
    form.get_by_role("textbox", name="Email").fill(account.email)
    form.get_by_label("Password").first.fill(account.password)
    form.get_by_role("button", name="Save").click()
    expect(page.get_by_role("cell", name=account.email)).to_be_visible()


def ask(page: Page, question: str) -> dict[str, Any]:
    """Type a question, send it and watch the answer until it is complete.

    Returns the answer's text and its growth: milliseconds, text and length at each change.
    """
    before = answers(page).count()
    page.locator("#chat-input").click()
    page.keyboard.type(question)
    page.evaluate(_WATCH)
    page.locator("#send-message-button").click()
    expect(answers(page)).to_have_count(before + 1, timeout=ANSWER_MS)
    expect(page.locator(".copy-response-button")).to_have_count(before + 1, timeout=ANSWER_MS)
    return {"text": answers(page).last.inner_text().strip(), "growth": page.evaluate("window.growth")}


def attach(page: Page, name: str, text: str) -> None:
    """Attach a document to the next question; returns when Open WebUI has processed it."""
    with page.expect_response(lambda answer: "/process/status" in answer.url, timeout=ANSWER_MS):
        page.locator("input[type=file]:not([accept]):not([capture])").first.set_input_files(
            {"name": name, "mimeType": "text/plain", "buffer": text.encode()}
        )
    expect(page.get_by_text(name).first).to_be_visible()


def open_chat(page: Page, chat: str) -> None:
    """Open an earlier chat by its id from the sidebar."""
    page.get_by_role("button", name="Open Sidebar").first.click()
    page.locator(f"a[href='/c/{chat}']").first.click()
    page.wait_for_url(f"**/c/{chat}")


def messages(page: Page, chat: str) -> list[dict[str, Any]]:
    """The stored messages of a chat, fetched with the page's session: they hold an answer's errors and sources."""
    kept = page.evaluate(
        """async (id) => (await fetch(`/api/v1/chats/${id}`,
            {headers: {Authorization: `Bearer ${localStorage.token}`}})).json()""",
        chat,
    )
    return list(kept["chat"]["history"]["messages"].values())


def answers(page: Page) -> Locator:
    return page.locator(".chat-assistant")
