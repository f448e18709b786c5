"""A real browser in a container of its own: Chromium, steered by Playwright."""
