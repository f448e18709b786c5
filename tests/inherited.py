"""Undo what a test run inherits from the shell that started it, so that tests pass however they are started."""

from __future__ import annotations

import os
import signal

DISPLAY = ("CLICOLOR_FORCE", "COLUMNS", "FORCE_COLOR", "LANGUAGE", "LINES", "NO_COLOR", "TTY_COMPATIBLE")


def reset() -> None:
    """Set signals, umask and the variables of locale and display for this process and its children.

    A command in the background of a shell without job control inherits SIGINT and SIGQUIT as ignored, one under nohup
    SIGHUP. Children would ignore them as well, and tests of Ctrl-C would time out.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for each in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(each, signal.SIG_DFL)
    os.umask(0o022)
    os.environ["LC_ALL"] = "C.UTF-8"
    for name in DISPLAY:
        os.environ.pop(name, None)
