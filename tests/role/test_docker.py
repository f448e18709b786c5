"""Docker on a host that already had settings."""

from __future__ import annotations

import json

from testinfra.host import Host

TINY = "bin/echo lib64/ld-linux-x86-64.so.2 lib/x86_64-linux-gnu/libc.so.6"


def test_settings_of_others_stay(host: Host) -> None:
    settings = json.loads(host.file("/etc/docker/daemon.json").content_string)
    assert settings["labels"] == ["owner=operator"]
    assert settings["live-restore"] is True  # the role's own setting wins


def test_container_runs_and_logs_to_the_journal(host: Host) -> None:
    line = host.check_output("cat /proc/sys/kernel/random/uuid")
    assert host.run(f"tar --create --dereference --directory / {TINY} | docker import - tiny").rc == 0
    assert host.check_output(f"docker run --rm --name tiny tiny /bin/echo {line}") == line
    host.check_output("journalctl --sync")
    assert host.check_output("journalctl CONTAINER_NAME=tiny --output cat --lines 1") == line
