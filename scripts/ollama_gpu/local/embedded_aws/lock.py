"""One lock for all access to moto's backends.

moto keeps each service in plain dictionaries without a lock. Without this lock, Terraform's ten parallel requests and
the tickers would change a dictionary during an iteration ("dictionary changed size"). Requests are CPU-bound Python
under one interpreter lock anyway, so the lock costs nothing.
"""

from __future__ import annotations

import threading

backends_lock = threading.RLock()
