"""An image's tag depends on its inputs."""

from __future__ import annotations

from dataclasses import replace

from ollama_gpu.local.lab import data, images, mirror

from .test_host_settings import settings


def test_tag_depends_on_packages_suite_files_and_host_settings() -> None:
    host = settings()
    tag = images.BASE.reference(host)
    assert tag == images.BASE.reference(settings())
    changed = [
        replace(images.BASE, packages=("systemd",)).reference(host),
        replace(images.BASE, suite="trixie").reference(host),
        replace(images.BASE, files=(("etc/x", "y"),)).reference(host),
        images.BASE.reference(settings(certificates={"new.crt": b"PEM"})),
        images.BASE.reference(settings(debian="http://other/debian")),
    ]
    assert len({tag, *changed}) == 6


def test_tag_does_not_depend_on_proxies() -> None:
    assert images.BASE.key(settings(environment={"https_proxy": "http://p"})) == images.BASE.key(settings())


def test_base_image_has_no_package_that_a_role_must_install() -> None:
    roles_install = {"docker.io", "haproxy", "zstd", "iptables", "openssl", "nvidia-container-toolkit", "rsyslog"}
    assert roles_install.isdisjoint(images.BASE.packages)
    assert {"systemd", "python3", "python3-apt", "ca-certificates"} <= {*images.BASE.packages}


def test_every_image_has_ca_certificates() -> None:
    built = (images.BASE, images.BUILDER, images.PYTHON, data.IMAGE, mirror.IMAGE)
    assert all("ca-certificates" in image.packages for image in built)
    assert len({image.name for image in built}) == len(built)


def test_sources_include_security_fixes() -> None:
    assert settings().sources("trixie") == [
        "deb http://near/debian trixie main",
        "deb http://near/debian trixie-updates main",
        "deb http://near/sec trixie-security main",
    ]
