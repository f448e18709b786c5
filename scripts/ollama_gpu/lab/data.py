"""Stand-in for the managed stores: PostgreSQL with pgvector and Redis in one container, by TLS and password only."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from ollama_gpu.progress import ProgressView

from . import execution
from .docker import LABEL, NETWORK, Docker
from .images import Image

DATABASE_PORT = 5432
CACHE_PORT = 6379
START_SECONDS = 60.0

# What outlives the container is under /data; secrets come in as files of /run/secrets and stand on no command line.
_START = Path(__file__).with_suffix(".sh").read_text(encoding="utf-8")

IMAGE = Image(
    "data",
    ("ca-certificates", "openssl", "postgresql-17", "postgresql-17-pgvector", "redis-server", "redis-tools"),
    suite="trixie",
    files=(("usr/local/sbin/data-tier", _START),),
    changes=('CMD ["/bin/bash", "/usr/local/sbin/data-tier"]',),
)


@dataclass(frozen=True)
class DataSecrets:
    """``master_password`` is the database's master's, ``cache_token`` what Redis asks for (AUTH)."""

    master_username: str
    master_password: str
    cache_token: str


@dataclass(frozen=True)
class DataTier:
    """Where a started data tier answers, on the lab's network; ``authority`` is the certificate to verify it with."""

    container: str
    database: tuple[str, int]
    cache: tuple[str, int]
    authority: Path


def start(
    name: str,
    names: tuple[str, ...],
    values: DataSecrets,
    folder: Path,
    image: str,
    docker: Docker,
    view: ProgressView,
    network: str = NETWORK,
) -> DataTier:
    """Start the container ``name`` that ``names`` lead to on ``network``, or find it running; returns when both answer.

    ``folder`` gets the secrets (files that only their owner reads, mounted into the container) and the authority's
    certificate. Data are kept in the volume ``name`` until `stop` is asked to remove it. Raises UserError when the
    stores do not answer in a minute.
    """
    _write_secrets(values, folder / "secrets")
    if not docker.running(name):
        docker.remove(name)
        docker.ensure_network(network)
        docker.output("volume", "create", f"--label={LABEL}=data", name)
        aliases = [f"--network-alias={alias}" for alias in names]
        docker.output(
            "run", "--detach", "--name", name, f"--label={LABEL}=data", "--restart=unless-stopped",
            f"--network={network}", *aliases, f"--env=NAMES={' '.join(names)}", f"--volume={name}:/data",
            f"--volume={folder / 'secrets'}:/run/secrets:ro", "--shm-size=256m", image,
        )  # fmt: skip
    remedy = f"See why with: docker logs {name}"
    execution.wait_for(lambda: _answers(docker, name), f"the data tier {name}", START_SECONDS, remedy, view)
    authority = folder / "ca.crt"
    docker.output("cp", f"{name}:/data/tls/ca.crt", str(authority))
    return DataTier(name, (names[0], DATABASE_PORT), (names[-1], CACHE_PORT), authority)


def stop(name: str, docker: Docker, keep: bool = False) -> None:
    """Remove the container, and its data unless they are to be kept."""
    docker.remove(name)
    if not keep and name in docker.ours("volume"):
        docker.output("volume", "rm", name)


def keep_secrets(folder: Path) -> DataSecrets:
    """The secrets that `start` wrote into this folder before, or new ones made by chance."""
    kept = {
        key: (folder / "secrets" / key).read_text(encoding="utf-8")
        for key in DataSecrets.__annotations__
        if (folder / "secrets" / key).exists()
    }
    if set(kept) == set(DataSecrets.__annotations__):
        return DataSecrets(**kept)
    return DataSecrets("ollama_gpu_admin", secrets.token_urlsafe(24), secrets.token_hex(24))


def _answers(docker: Docker, name: str) -> bool:
    # The file appears when PostgreSQL serves and Redis was started; a serving Redis refuses a PING without password.
    question = "test -e /run/data-is-up && redis-cli --tls --cacert /data/tls/ca.crt ping 2>&1 | grep -q NOAUTH"
    return docker.succeeds("exec", name, "bash", "-c", question)


def _write_secrets(values: DataSecrets, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for key, value in vars(values).items():
        file = folder / key
        file.touch(mode=0o600)
        file.write_text(value, encoding="utf-8")
