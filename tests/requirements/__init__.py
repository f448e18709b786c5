"""The fifty criteria of docs/requirements.md, the tests that prove each, and what they came to."""
