"""A host that converges by itself: through user data at its first boot, and its unit at every later boot."""

from __future__ import annotations

from typing import Any

PROGRAM = "/usr/local/sbin/ollama-gpu-boot"
UNIT = "ollama-gpu-boot.service"
COLLECTIONS = "/usr/share/ollama-gpu/collections"


def test_program_belongs_to_root_and_runs(host: Any) -> None:
    program = host.file(PROGRAM)
    assert (program.user, program.group, program.mode) == ("root", "root", 0o755)
    assert host.run(f"{PROGRAM} --help").rc == 0


def test_prerequisites_of_the_program_are_installed(host: Any) -> None:
    ran = host.run(f"{PROGRAM} --prerequisites")
    assert ran.rc == 0
    assert ran.stdout.strip() == "unchanged"


def test_the_unit_is_enabled_and_waits_for_a_description(host: Any) -> None:
    assert host.service("ollama-gpu-boot").is_enabled
    shown = host.run(f"systemctl cat {UNIT}").stdout
    assert "ConditionPathExists=/etc/ollama-gpu/instance.json" in shown
    assert f"ExecStart={PROGRAM} --once-a-boot /etc/ollama-gpu/instance.json" in shown


def test_unit_is_valid(host: Any) -> None:
    ran = host.run(f"systemd-analyze verify {UNIT}")
    assert ran.rc == 0
    assert UNIT not in ran.stderr


def test_boot_state_is_readable_by_root_only(host: Any) -> None:
    folder = host.file("/var/lib/ollama-gpu/boot")
    assert folder.is_directory
    assert (folder.user, folder.mode) == ("root", 0o700)


def test_installed_collection_is_complete(host: Any) -> None:
    stamp = host.file(f"{COLLECTIONS}/ollama-gpu.sha256")
    if not stamp.exists:  # converged without an archive: no collection may be installed
        assert host.run(f"ls -A {COLLECTIONS}").stdout == ""
        return
    assert len(stamp.content_string) == 64
    for path in ("playbooks/boot.yml", "plugins/callback/boot_log.py", "contract/instance.yaml"):
        assert host.file(f"{COLLECTIONS}/ansible_collections/ollama/gpu/{path}").is_file


def test_journal_is_persistent_and_limited(host: Any) -> None:
    settings = host.file("/etc/systemd/journald.conf.d/ollama-gpu.conf").content_string
    assert "Storage=persistent" in settings
    assert "SystemMaxUse=" in settings
    machine = host.file("/etc/machine-id").content_string.strip()
    assert host.file(f"/var/log/journal/{machine}/system.journal").exists
