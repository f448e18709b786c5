"""A sealed image contains nothing of its builder's identity, and lists its contents.

Runs against the image's files, without a boot, or against the sealed builder.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

ABSENT = {
    "an SSH host key": "/etc/ssh/ssh_host_*",
    "an authorized key": "/root/.ssh/* /home/*/.ssh/*",
    "a shell's history": "/root/.*_history /home/*/.*_history",
    "an AWS credential": "/root/.aws/* /home/*/.aws/*",
    "a registry's credential": "/root/.docker/* /home/*/.docker/*",
    "Ansible's work": "/root/.ansible /home/*/.ansible",
    "the gateway's key": "/etc/haproxy/tls/*",
    "a key of the system's own certificate": "/etc/ssl/private/ssl-cert-snakeoil.key",
    "a secret": "/run/ollama-gpu/*",
    "an instance's description": "/etc/ollama-gpu/instance.json",
    "a boot's work": "/var/lib/ollama-gpu/boot",
    "cloud-init's state": "/var/lib/cloud/*",
    "a CDI specification": "/etc/cdi/* /var/run/cdi/*",
    "a lease": "/var/lib/dhcp/* /var/lib/dhclient/*",
    "a random seed": "/var/lib/systemd/random-seed /var/lib/urandom/random-seed",
    "a download": "/var/cache/ollama-gpu/*",
    "a package": "/var/cache/apt/archives/*.deb /var/cache/dnf/* /var/cache/yum/*",
    "a list of packages": "/var/lib/apt/lists/*_Packages* /var/lib/apt/lists/*Release",
    "Docker's identity": "/etc/docker/key.json",
}


@pytest.mark.parametrize("what", ABSENT)
def test_image_does_not_contain(host: Any, what: str) -> None:
    assert listing(host, ABSENT[what]) == ""


def test_machine_id_is_empty(host: Any) -> None:
    assert host.file("/etc/machine-id").exists
    assert host.file("/etc/machine-id").size == 0
    copy = host.file("/var/lib/dbus/machine-id")
    assert not copy.exists or copy.is_symlink or copy.size == 0


def test_image_has_no_logs_of_the_bake(host: Any) -> None:
    assert host.run("find /var/log -type f -size +0").stdout == ""


def test_first_boot_generates_host_keys(host: Any) -> None:
    assert enabled(host, "ollama-gpu-host-keys.service")


def test_the_programs_shared_module_is_in_the_image(host: Any) -> None:
    if not host.file("/usr/local/sbin/ollama-gpu-instance").exists:
        pytest.skip("the image has no program that uses the module")
    module = host.file("/usr/local/lib/ollama-gpu/ollama_gpu_host.py")
    assert module.exists
    assert module.size > 0


def test_no_unit_per_gpu_or_port_is_enabled_in_the_image(host: Any) -> None:
    wanted = host.run("find /etc/systemd/system -type l -name 'ollama@*' -o -type l -name 'open-webui@*'").stdout
    assert wanted == ""


def test_manifest_has_every_version(manifest: dict[str, Any]) -> None:
    assert len(manifest["collection_sha256"]) == 64
    assert manifest["content_key"]
    assert manifest["git_commit"]
    assert manifest["time"].endswith("Z")
    assert manifest["versions"]["operating_system"]
    assert manifest["packages"], "a system without packages"


@pytest.mark.parametrize(
    ("version", "command"),
    [("docker", "dockerd --version"), ("haproxy", "haproxy -v"), ("container_toolkit", "nvidia-ctk --version")],
)
def test_manifest_matches_the_installed_versions(
    host: Any, manifest: dict[str, Any], version: str, command: str
) -> None:
    recorded = manifest["versions"][version]
    if not host.exists(command.split()[0]):
        assert recorded is None
        return
    assert recorded
    assert recorded in host.run(command).stdout


def test_packages_match_the_manifest(host: Any, manifest: dict[str, Any]) -> None:
    for name in ("systemd", "python3-minimal"):
        if name in manifest["packages"]:
            assert host.run("dpkg-query --show --showformat '${Version}' " + name).stdout == manifest["packages"][name]


def test_archive_of_dockers_data_is_complete(host: Any, manifest: dict[str, Any]) -> None:
    archive = "/var/lib/ollama-gpu/docker.tar.zst"
    if not host.file(archive).exists:
        pytest.skip("the image itself contains Docker's data")
    assert enabled(host, "ollama-gpu-docker-data.service")
    names = host.run(f"tar --list --zstd --file {archive}")
    assert names.rc == 0, names.stderr
    images = manifest["container_images"].values()
    missing = [each for each in images if f"imagedb/content/sha256/{each.removeprefix('sha256:')}" not in names.stdout]
    assert missing == []


@pytest.fixture
def manifest(host: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.file("/etc/ollama-gpu/image.json").content_string)
    return found


def listing(host: Any, patterns: str) -> str:
    """Return the paths that match the patterns, one per line."""
    found: str = host.run(f"for path in {patterns}; do [ ! -e $path ] || echo $path; done").stdout
    return found


def enabled(host: Any, unit: str) -> bool:
    """Return whether a target wants the unit. systemd does not need to run."""
    return bool(host.run("find /etc/systemd/system -type l -path '*.wants/*' -name %s", unit).stdout)
