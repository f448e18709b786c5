"""An image's tag is what it is made from."""

from __future__ import annotations

from dataclasses import replace

from ollama_gpu.lab import data, images, mirror

from .test_host_settings import settings


def test_the_tag_follows_packages_suite_files_and_how_the_outside_is_reached() -> None:
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


def test_the_proxy_of_a_shell_is_no_part_of_an_image() -> None:
    assert images.BASE.key(settings(environment={"https_proxy": "http://p"})) == images.BASE.key(settings())


def test_a_stock_system_has_nothing_that_a_role_should_have_installed() -> None:
    roles_install = {"docker.io", "haproxy", "zstd", "iptables", "openssl", "nvidia-container-toolkit", "rsyslog"}
    assert roles_install.isdisjoint(images.BASE.packages)
    assert {"systemd", "python3", "python3-apt", "ca-certificates"} <= {*images.BASE.packages}


def test_every_image_can_verify_a_certificate() -> None:
    made = (images.BASE, images.BUILDER, images.PYTHON, data.IMAGE, mirror.IMAGE)
    assert all("ca-certificates" in image.packages for image in made)
    assert len({image.name for image in made}) == len(made)


def test_security_fixes_are_among_the_sources() -> None:
    assert settings().sources("trixie") == [
        "deb http://near/debian trixie main",
        "deb http://near/debian trixie-updates main",
        "deb http://near/sec trixie-security main",
    ]
