"""A real browser in a separate container: Chromium, controlled by Playwright."""
