"""What production downloads is downloaded where its sites answer, by the same checksums; a closed network builds.

A local server stands for the release site and the registries.
"""

from __future__ import annotations

import hashlib
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import locate
from ollama_gpu.local.lab import supply
from ollama_gpu.local.lab.locations import Locations
from ollama_gpu.local.lab.sources import PROBE_SECONDS, Reachable, Sources, probe
from ollama_gpu.local.lab.supplies import model, ollama
from ollama_gpu.terraform.progress import NoProgress

CHECKSUMS = f"v{ollama.VERSION}/{ollama.CHECKSUMS}"
ARCHIVE = b"the official archive" * 1000


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Site:
    """A server with files by path. It is a registry if ``registry``: it asks for a token at /v2/."""

    def __init__(self, files: dict[str, bytes], registry: bool = True) -> None:
        self.files = files
        self.asked: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(body=True)

            def do_HEAD(self) -> None:
                self.answer(body=False)

            def answer(self, body: bool) -> None:
                site.asked.append(self.path)
                content = site.files.get(self.path, b"")
                found = self.path in site.files
                self.send_response(200 if found else 401 if self.path == "/v2/" else 404)
                if registry:
                    self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if body:
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def sources(self) -> Sources:
        return Sources(self.address, self.address, self.address, "127.0.0.1/debian")


def blob(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": f"application/vnd.ollama.image.{kind}", "digest": f"sha256:{sha256(content)}", "size": 1}


WEIGHTS, SETTINGS = b"weights", b'{"stop": ["<end_of_turn>"], "num_thread": 64}'
MANIFEST = json.dumps(
    {"schemaVersion": 2, "config": blob("config", b"{}"), "layers": [blob("model", WEIGHTS), blob("params", SETTINGS)]}
).encode()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    files = {
        f"/{CHECKSUMS}": b"00  ./ollama-linux-amd64.tar.zst",
        f"/v{ollama.VERSION}/ollama-linux-{ollama.architecture()}.tar.zst": ARCHIVE,
    }
    for name in model.PULLED:
        base, _, tag = name.partition(":")
        files[f"/v2/library/{base}/manifests/{tag}"] = MANIFEST
        for content in (b"{}", WEIGHTS, SETTINGS):
            files[f"/v2/library/{base}/blobs/sha256:{sha256(content)}"] = content
    monkeypatch.setattr(model, "PULLED", dict.fromkeys(model.PULLED, sha256(MANIFEST)))
    found = Site(files)
    yield found
    found.server.shutdown()
    found.server.server_close()


def test_sites_that_answer_are_reachable_and_each_is_asked_once(site: Site) -> None:
    wanted = tuple(model.PULLED.items())
    found = probe(site.sources, CHECKSUMS, wanted)
    assert (found.releases, found.models, found.images) == (True, True, True)
    assert probe(site.sources, CHECKSUMS, wanted) == found
    assert len(site.asked) == 2 + len(wanted)
    assert "downloads as production does" in str(found)


def test_models_that_have_changed_are_not_reachable(site: Site) -> None:
    site.files["/v2/library/all-minilm/manifests/22m"] = b"a newer manifest"
    found = probe(site.sources, CHECKSUMS, tuple(model.PULLED.items()))
    assert (found.releases, found.models, found.images) == (True, False, True)


class Portal(dict[str, bytes]):
    """The same page under every path."""

    def __contains__(self, _: object) -> bool:
        return True

    def get(self, *_: object) -> bytes:
        return b"<html>Please sign in</html>"


def test_a_page_in_place_of_the_sites_is_no_source() -> None:
    portal = Site(Portal(), registry=False)
    found = probe(portal.sources, CHECKSUMS, tuple(model.PULLED.items()))
    portal.server.shutdown()
    portal.server.server_close()
    assert portal.asked
    assert found == Reachable(portal.sources)


class Slow(socketserver.BaseRequestHandler):
    """Sends a byte now and then, so that no timeout of a single read ends the request."""

    def handle(self) -> None:
        with suppress(OSError):
            for byte in b"HTTP/1.1 200 OK\r\nX-Slow: it takes seconds":
                self.request.sendall(bytes([byte]))
                time.sleep(0.1)


def test_a_closed_network_is_noticed_within_the_time_of_the_probe() -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Slow) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        sources = Sources(address, "http://site.invalid", address, "x")
        began = time.monotonic()
        found = probe(sources, CHECKSUMS, tuple(model.PULLED.items()), seconds=0.5)
        assert time.monotonic() - began < 1.5
        server.shutdown()
    assert found == Reachable(sources)
    assert "built from package registries instead" in str(found)
    assert PROBE_SECONDS == 3


def test_official_release_is_downloaded_with_the_checksum_of_its_role(site: Site, tmp_path: Path) -> None:
    release = ollama.download(tmp_path, site.address, sha256(ARCHIVE), NoProgress())
    assert (release.folder / release.archive).read_bytes() == ARCHIVE
    assert release == ollama.find(tmp_path)
    assert release.path != "ollama/v0.24.0"  # a built release has another URL, and so its image another key
    role = ollama.checksum(locate().repository / "ansible_collections" / "ollama" / "gpu")
    assert role is not None
    assert len(role) == 64


def test_release_with_another_checksum_is_refused_and_leaves_nothing(site: Site, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has the SHA-256 .*, not 0000"):
        ollama.download(tmp_path, site.address, "0" * 64, NoProgress())
    assert ollama.find(tmp_path) is None
    assert list(tmp_path.rglob("*.zst")) == []


def test_models_are_pulled_by_digest_and_use_the_threads_of_the_lab(site: Site, tmp_path: Path) -> None:
    store = model.pull(tmp_path, site.address, NoProgress())
    assert store == model.find(tmp_path)
    manifest = json.loads((store.folder / "manifests/registry.ollama.ai/library/gemma3/270m").read_text())
    weights, settings = manifest["layers"]
    assert weights == blob("model", WEIGHTS)
    written = json.loads((store.folder / "blobs" / settings["digest"].replace(":", "-")).read_text())
    assert written == {"stop": ["<end_of_turn>"], "num_thread": model.threads.THREADS}
    for layer in (manifest["config"], *manifest["layers"]):
        content = (store.folder / "blobs" / layer["digest"].replace(":", "-")).read_bytes()
        assert f"sha256:{sha256(content)}" == layer["digest"]


@pytest.mark.parametrize("changed", ["manifests/270m", f"blobs/sha256:{sha256(WEIGHTS)}"])
def test_model_with_a_changed_file_is_refused(site: Site, tmp_path: Path, changed: str) -> None:
    site.files[f"/v2/library/gemma3/{changed}"] = b"something else"
    with pytest.raises(UserError, match="has the SHA-256"):
        model.pull(tmp_path, site.address, NoProgress())
    assert model.find(tmp_path) is None


class NoImages:
    """A container engine without images."""

    def image(self, _: str) -> None: ...


def missing(tmp_path: Path, sources: Sources) -> supply.Missing:
    where = Locations(tmp_path / "cache", tmp_path / "work", locate().repository / "ansible_collections/ollama/gpu")
    engine: Any = NoImages()
    return supply.missing(where, engine, sources)


def test_forecast_names_what_is_downloaded_and_what_is_built(site: Site, tmp_path: Path) -> None:
    opened = missing(tmp_path, site.sources)
    assert {"Ollama (downloaded)", "models (downloaded)", "Container Toolkit"} <= set(opened.compiled)
    closed = missing(tmp_path, Sources(*["http://site.invalid"] * 3, "x"))
    assert closed.compiled == ("image builder", "Go", "Ollama", "models", "Container Toolkit")
