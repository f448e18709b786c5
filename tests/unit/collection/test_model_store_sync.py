"""ollama-gpu-models: the store after a run, and the errors of a run."""

import fcntl
import hashlib
import http.server
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.unit.collection import programs


@pytest.fixture(scope="module")
def program() -> ModuleType:
    return programs.load("model_store", "ollama-gpu-models")


@pytest.fixture(autouse=True)
def small_chunks(program: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use several chunks per blob, and ignore the free space of the machine."""
    monkeypatch.setattr(program, "CHUNK_BYTES", 100_000)
    monkeypatch.setattr(program, "RESERVE_BYTES", 0)


class Copy:
    """A copy of a store that is a source."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "blobs").mkdir(parents=True)

    def blob(self, content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        (self.root / "blobs" / f"sha256-{digest}").write_bytes(content)
        return {"digest": f"sha256:{digest}", "size": len(content)}

    def model(self, path: str, *contents: bytes) -> str:
        """Create a model and return its digest."""
        config, *layers = [self.blob(content) for content in contents]
        return self.manifest(path, {"schemaVersion": 2, "config": config, "layers": layers})

    def manifest(self, path: str, manifest: dict[str, Any]) -> str:
        file = self.root / "manifests" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(manifest), encoding="utf-8")
        return "sha256:" + hashlib.sha256(file.read_bytes()).hexdigest()

    def weights(self) -> Path:
        return max((self.root / "blobs").iterdir(), key=lambda file: file.stat().st_size)


WEIGHTS = bytes(range(256)) * 4000  # 1 MB: eleven chunks
SMALL = "registry.ollama.ai/library/gemma3/270m"


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path / "source")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


Run = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def sync(program: ModuleType, store: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `sync` and return the exit status, the summary and the error output."""

    def run(source: object, *models: str, **options: str | None) -> tuple[int, dict[str, Any], str]:
        flags = [part for key, value in options.items() for part in (f"--{key}", value) if part is not None]
        status = program.main(
            ["sync", "--store", str(store), "--source", str(source), "--pause", "0", *flags, "--", *models]
        )
        said = capsys.readouterr()
        return status, json.loads(said.out) if said.out else {}, said.err

    return run


def serve(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class Mirror(http.server.BaseHTTPRequestHandler):
    """A file server with ranges, like nginx. Tests count its requests and make it fail."""

    root: Path
    ranges = True
    requests: list[str]
    failures: int  # number of answers to cut off

    def do_GET(self) -> None:
        file = self.root / self.path.lstrip("/")
        type(self).requests.append(f"{self.path} {self.headers.get('Range', '')}".strip())
        if not file.is_file():
            self.send_error(404)
            return
        content = file.read_bytes()
        asked = self.headers.get("Range")
        status = 200
        if asked and self.ranges:
            first, last = asked.removeprefix("bytes=").split("-")
            if int(first) >= len(content):
                self.send_error(416)
                return
            content, status = content[int(first) : int(last) + 1], 206
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if type(self).failures and len(content) > 1000:
            type(self).failures -= 1
            content = content[: len(content) // 2]
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def mirror(copy: Copy) -> Iterator[tuple[str, type[Mirror]]]:
    handler = type("ThisMirror", (Mirror,), {"root": copy.root, "requests": [], "failures": 0})
    for address in serve(handler):
        yield address, handler


def stored(store: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (store / "blobs").iterdir()}


def test_a_model_from_a_folder_is_complete_and_a_second_run_changes_nothing(copy: Copy, store: Path, sync: Run) -> None:
    digest = copy.model(SMALL, b"{}", WEIGHTS, b"template")
    status, summary, _ = sync(copy.root, f"gemma3:270m@{digest}")
    assert (status, summary["changed"], summary["fetched_bytes"]) == (0, True, len(WEIGHTS) + 10)
    assert stored(store) == {file.name: file.read_bytes() for file in (copy.root / "blobs").iterdir()}
    assert (store / "manifests" / SMALL).read_bytes() == (copy.root / "manifests" / SMALL).read_bytes()
    status, summary, _ = sync(copy.root, f"gemma3:270m@{digest}")
    assert (status, summary["changed"], summary["fetched_bytes"]) == (0, False, 0)


def test_a_complete_store_needs_no_source(copy: Copy, sync: Run, tmp_path: Path) -> None:
    digest = copy.model(SMALL, b"{}", WEIGHTS)
    sync(copy.root, f"gemma3:270m@{digest}")
    assert sync(tmp_path / "unmounted", f"gemma3:270m@{digest}")[0] == 0


def test_mirror_serves_blobs_in_parts(copy: Copy, store: Path, sync: Run, mirror: tuple[str, type[Mirror]]) -> None:
    digest = copy.model(SMALL, b"{}", WEIGHTS)
    assert sync(mirror[0], f"gemma3:270m@{digest}")[0] == 0
    assert WEIGHTS in stored(store).values()
    assert sum("blobs" in line and "bytes=" in line for line in mirror[1].requests) == 13, (
        "the manifest by its digest first"
    )


def test_a_mirror_without_ranges_works_too(
    copy: Copy, store: Path, sync: Run, mirror: tuple[str, type[Mirror]], monkeypatch: pytest.MonkeyPatch, program: Any
) -> None:
    monkeypatch.setattr(program, "MANIFEST_BYTES_AT_MOST", 1000)
    mirror[1].ranges = False
    digest = copy.model(SMALL, b"{}", WEIGHTS)
    assert sync(mirror[0], f"gemma3:270m@{digest}")[0] == 0
    assert WEIGHTS in stored(store).values()


def test_broken_connections_are_retried(copy: Copy, store: Path, sync: Run, mirror: tuple[str, type[Mirror]]) -> None:
    mirror[1].failures = 3
    digest = copy.model(SMALL, b"{}", WEIGHTS)
    status, _, said = sync(mirror[0], f"gemma3:270m@{digest}")
    assert (status, WEIGHTS in stored(store).values()) == (0, True)
    assert said.count("the connection ended after") == 3


def test_unreachable_source_is_reported(sync: Run) -> None:
    status, summary, said = sync("http://127.0.0.1:9", f"gemma3:270m@sha256:{'0' * 64}", tries="2")
    assert (status, summary) == (1, {})
    assert said.splitlines()[-1].startswith("ollama-gpu-models: http://127.0.0.1:9 does not answer after 2 tries")
    assert "Traceback" not in said


@pytest.mark.parametrize("ranges", [True, False])
def test_run_continues_an_interrupted_one(
    copy: Copy,
    store: Path,
    sync: Run,
    mirror: tuple[str, type[Mirror]],
    monkeypatch: pytest.MonkeyPatch,
    program: Any,
    ranges: bool,
) -> None:
    monkeypatch.setattr(program, "MANIFEST_BYTES_AT_MOST", 1000)
    digest = copy.model(SMALL, b"{}", WEIGHTS)
    address, handler = mirror
    mirror[1].ranges = ranges
    # the leftovers of an interrupted run: the beginning of the weights
    (store / ".partial").mkdir()
    name = copy.weights().name
    (store / ".partial" / name).write_bytes(WEIGHTS[:450_000])
    status, summary, _ = sync(address, f"gemma3:270m@{digest}")
    assert (status, summary["fetched_bytes"]) == (0, len(WEIGHTS) - 450_000 + 2)
    assert stored(store)[name] == WEIGHTS
    if ranges:
        assert not any("blobs" in line and "bytes=0-99999" in line for line in handler.requests if name in line)
        assert any("bytes=450000-549999" in line for line in handler.requests)


def test_partial_copy_is_kept_when_the_source_fails(
    copy: Copy, store: Path, sync: Run, mirror: tuple[str, type[Mirror]]
) -> None:
    digest = copy.model(SMALL, b"{}", WEIGHTS)
    whole = copy.weights().read_bytes()
    copy.weights().write_bytes(whole[:500_000])
    status, _, said = sync(mirror[0], f"gemma3:270m@{digest}")
    assert status == 1
    assert "ends after 500000 of 1024000 bytes" in said
    assert not (store / "manifests" / SMALL).exists()
    assert [file.stat().st_size for file in (store / ".partial").iterdir()] == [500_000]


def test_a_damaged_blob_never_gets_its_name(copy: Copy, store: Path, sync: Run) -> None:
    digest = copy.model(SMALL, b"{}", WEIGHTS)
    name = copy.weights().name
    copy.weights().write_bytes(WEIGHTS[:-1] + b"x")
    status, _, said = sync(copy.root, f"gemma3:270m@{digest}")
    assert status == 1
    assert "has other content" in said
    assert name not in stored(store)
    assert not (store / ".partial" / name).exists()
    assert not (store / "manifests" / SMALL).exists()


def test_other_digest_than_requested_changes_nothing(copy: Copy, store: Path, sync: Run) -> None:
    old = copy.model(SMALL, b"{}", b"old weights")
    sync(copy.root, f"gemma3:270m@{old}")
    before = stored(store)
    copy.model(SMALL, b"{}", WEIGHTS)
    status, _, said = sync(copy.root, f"gemma3:270m@sha256:{'1' * 64}", prune=None)
    assert status == 1
    assert f"not the requested sha256:{'1' * 64}. Nothing was changed" in said
    assert stored(store) == before


def test_old_digest_of_a_name_is_found(copy: Copy, sync: Run, store: Path) -> None:
    former = copy.model(SMALL, b"{}", WEIGHTS)
    copy.blob((copy.root / "manifests" / SMALL).read_bytes())
    copy.model(SMALL, b"{}", b"newer")
    assert sync(copy.root, f"gemma3:270m@{former}")[0] == 0
    assert "sha256:" + hashlib.sha256((store / "manifests" / SMALL).read_bytes()).hexdigest() == former


def test_model_missing_in_the_source_is_reported(copy: Copy, sync: Run, mirror: tuple[str, type[Mirror]]) -> None:
    for source in (copy.root, mirror[0]):
        status, _, said = sync(source, f"nosuch:1b@sha256:{'1' * 64}")
        assert status == 1
        assert f"{source} has no manifests/registry.ollama.ai/library/nosuch/1b" in said
    assert len(mirror[1].requests) == 2, "a missing file is not requested again"


def test_too_small_a_disk_is_refused_before_anything_is_copied(
    copy: Copy, store: Path, sync: Run, program: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = copy.model(SMALL, b"{}", WEIGHTS)
    monkeypatch.setattr(program, "RESERVE_BYTES", 1 << 60)
    status, _, said = sync(copy.root, f"gemma3:270m@{digest}")
    assert status == 1
    assert "The models need 0.0 GiB more in" in said
    assert "Use a larger volume" in said
    assert stored(store) == {}


def test_old_models_are_removed_first_if_the_new_one_does_not_fit(
    copy: Copy, store: Path, sync: Run, program: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(copy.root, "old:1b@" + copy.model("registry.ollama.ai/library/old/1b", b"[]", b"o" * 900_000))
    digest = copy.model(SMALL, b"{}", WEIGHTS)
    capacity = 1_100_000
    monkeypatch.setattr(
        program.Store, "free_bytes", lambda _: capacity - sum(len(content) for content in stored(store).values())
    )
    assert sync(copy.root, f"gemma3:270m@{digest}")[0] == 1
    status, summary, _ = sync(copy.root, f"gemma3:270m@{digest}", prune=None)
    assert (status, summary["pruned"]) == (0, ["old:1b"])
    assert WEIGHTS in stored(store).values()


def test_prune_removes_other_models_and_keeps_what_they_share(copy: Copy, store: Path, sync: Run) -> None:
    digest = copy.model(SMALL, b"{}", WEIGHTS, b"licence")
    other = copy.model("hf.co/someone/tuned/latest", b"[]", b"other weights", b"licence")
    sync(copy.root, f"gemma3:270m@{digest}", f"hf.co/someone/tuned@{other}")
    assert len(stored(store)) == 5
    status, summary, _ = sync(copy.root, f"gemma3:270m@{digest}", prune=None)
    assert (status, summary["changed"], summary["pruned"]) == (0, True, ["hf.co/someone/tuned:latest"])
    assert sorted(map(len, stored(store).values())) == [2, 7, len(WEIGHTS)]
    assert sync(copy.root, f"gemma3:270m@{digest}", prune=None)[1]["changed"] is False


def test_a_new_digest_under_the_same_name_replaces_the_manifest(copy: Copy, store: Path, sync: Run) -> None:
    sync(copy.root, "gemma3:270m@" + copy.model(SMALL, b"{}", b"old weights"))
    digest = copy.model(SMALL, b"{}", WEIGHTS)
    status, summary, _ = sync(copy.root, f"gemma3:270m@{digest}", prune=None)
    assert (status, summary["models"][0]["changed"]) == (0, True)
    assert hashlib.sha256((store / "manifests" / SMALL).read_bytes()).hexdigest() == digest[7:]
    assert sorted(map(len, stored(store).values())) == [2, len(WEIGHTS)]


def test_a_manifest_cannot_name_a_file_outside_the_store(copy: Copy, sync: Run, store: Path) -> None:
    evil = {"digest": "sha256:../../../etc/passwd", "size": 1}
    digest = copy.manifest(SMALL, {"config": evil, "layers": []})
    status, _, said = sync(copy.root, f"gemma3:270m@{digest}")
    assert status == 1
    assert "has the unsafe blob" in said
    digest = copy.manifest(SMALL, {"layers": "what"})
    assert "cannot be read" in sync(copy.root, f"gemma3:270m@{digest}")[2]


@pytest.mark.parametrize("name", ["../x", "a/../b:c", "a//b", "/a", "a:", "a:b:c", "a b", "-x", "a/b/c/d", "", ".."])
def test_unsafe_names_are_refused(sync: Run, tmp_path: Path, name: str) -> None:
    status, _, said = sync(tmp_path, f"{name}@sha256:{'0' * 64}")
    assert (status, "is not a valid model name" in said) == (1, True)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("gemma3", "registry.ollama.ai/library/gemma3/latest"),
        ("someone/gemma3:4b-it-q8_0", "registry.ollama.ai/someone/gemma3/4b-it-q8_0"),
        ("hf.co/bartowski/Llama-3.2-1B-GGUF:Q4_K_M", "hf.co/bartowski/Llama-3.2-1B-GGUF/Q4_K_M"),
        ("localhost:5000/a/b:c", "localhost:5000/a/b/c"),
    ],
)
def test_names_follow_ollamas_rules(program: Any, name: str, path: str) -> None:
    assert program.parse_name(name) == path


@pytest.mark.parametrize("digest", ["", "sha256:12", "md5:" + "0" * 64, "sha256:" + "G" * 64])
def test_a_model_without_a_full_digest_is_refused(sync: Run, tmp_path: Path, digest: str) -> None:
    status, _, said = sync(tmp_path, f"gemma3:270m@{digest}")
    assert (status, "has no digest" in said) == (1, True)


def test_an_unknown_kind_of_source_is_refused(sync: Run) -> None:
    status, _, said = sync("ftp://mirror/models", f"gemma3:270m@sha256:{'0' * 64}")
    assert (status, "is not a supported source" in said) == (1, True)


def test_one_run_at_a_time(copy: Copy, store: Path, sync: Run) -> None:
    digest = copy.model(SMALL, b"{}", WEIGHTS)
    with (store / ".lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        status, _, said = sync(copy.root, f"gemma3:270m@{digest}", **{"lock-seconds": "0.2"})
        assert status == 1
        assert "waiting for another run on" in said
        assert "Another run has held" in said
        assert not (store / "blobs").exists() or not stored(store)
    assert sync(copy.root, f"gemma3:270m@{digest}")[0] == 0


@pytest.fixture
def cloud() -> Iterator[None]:
    with mock_aws():
        yield


def test_a_bucket_is_a_source(copy: Copy, store: Path, sync: Run, cloud: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for variable in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    digest = copy.model(SMALL, b"{}", WEIGHTS)
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="artifacts")
    for file in copy.root.rglob("*"):
        if file.is_file():
            s3.upload_file(str(file), "artifacts", f"models/{file.relative_to(copy.root)}")
    status, summary, _ = sync("s3://artifacts/models", f"gemma3:270m@{digest}")
    assert (status, summary["fetched_bytes"]) == (0, len(WEIGHTS) + 2)
    assert WEIGHTS in stored(store).values()
    status, _, said = sync("s3://artifacts/models", f"other:1b@{digest}")
    assert status == 1
    assert "has no s3://artifacts/models/manifests/registry.ollama.ai/library/other/1b (NoSuchKey)" in said


def test_list_shows_the_id_that_ollama_shows(
    copy: Copy, store: Path, sync: Run, program: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = copy.model(SMALL, b"{}", WEIGHTS)
    sync(copy.root, f"gemma3:270m@{digest}")
    assert program.main(["list", "--store", str(store), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "name": "gemma3:270m",
            "id": digest[7:19],
            "digest": digest,
            "size_bytes": len(WEIGHTS) + 2,
            "complete": True,
        }
    ]
    (store / "blobs" / copy.weights().name).unlink()
    assert program.main(["list", "--store", str(store)]) == 0
    assert capsys.readouterr().out.strip().endswith("INCOMPLETE")


def test_verify_finds_a_damaged_and_a_missing_blob(
    copy: Copy, store: Path, sync: Run, program: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = copy.model(SMALL, b"{}", WEIGHTS)
    sync(copy.root, f"gemma3:270m@{digest}")
    assert program.main(["verify", "--store", str(store)]) == 0
    blob = store / "blobs" / copy.weights().name
    blob.write_bytes(WEIGHTS[:-1] + b"x")
    assert program.main(["verify", "--store", str(store)]) == 1
    assert f"gemma3:270m: {blob.name.replace('-', ':')} is missing or damaged" in capsys.readouterr().err
    blob.unlink()
    assert program.main(["verify", "--store", str(store)]) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to change the owner of the store")
def test_root_works_as_the_owner_of_the_store(program: Any, copy: Copy, tmp_path: Path) -> None:
    digest = copy.model(SMALL, b"{}", WEIGHTS)
    store = tmp_path / "owned"
    store.mkdir()
    os.chown(store, 12345, 12346)
    for folder in (tmp_path, *tmp_path.parents):  # pytest's folders are accessible to root only
        if folder.stat().st_mode & 0o055 != 0o055 and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    child = os.fork()
    if child == 0:
        os._exit(program.main(["sync", "--store", str(store), "--source", str(copy.root), f"gemma3:270m@{digest}"]))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert {(file.stat().st_uid, file.stat().st_gid) for file in store.rglob("*")} == {(12345, 12346)}
