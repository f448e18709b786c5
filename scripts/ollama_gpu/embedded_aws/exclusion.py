"""One lock for everything that touches moto's backends.

moto keeps each service in plain dictionaries that no lock guards; Terraform's ten parallel requests and the
tickers would otherwise meet in the middle of an iteration ("dictionary changed size"). Requests are CPU-bound
Python under one interpreter lock anyway, so taking turns costs nothing.
"""

from __future__ import annotations

import threading

backends_lock = threading.RLock()
