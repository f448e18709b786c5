"""The fifty criteria of docs/requirements.md, the tests that prove each, and their results."""
