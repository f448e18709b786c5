"""The data tier in place of RDS and ElastiCache: PostgreSQL with pgvector and Redis in one container.

Clients need TLS and a password. The data are in a volume with the container's name, which is unique on the machine; the
secrets are in a folder of one checkout. Both have the same identity, which shows whether they belong together. The
volume has a folder for each database server that RDS knows, and PostgreSQL serves at most one of them.
"""

from __future__ import annotations

import secrets
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from ollama_gpu.core.errors import UserError
from ollama_gpu.terraform.progress import ProgressView

from . import build_cache, processes
from .authority import Authority, ensure
from .docker import LABEL, NETWORK, Docker
from .images import Image
from .locations import Locations

DATABASE_PORT = 5432
CACHE_PORT = 6379
START_SECONDS = 60.0

_IDENTITY = "ollama-gpu.lab.identity"  # label of a volume: the identity of its secrets
_KEY = "ollama-gpu.lab.key"  # label of a container: the key of its inputs

# Data that outlive the container are in /data. Secrets and the certificate are mounted files, not on a command line.
_START = Path(__file__).with_suffix(".sh").read_text(encoding="utf-8")

IMAGE = Image(
    "data",
    ("ca-certificates", "postgresql-17", "postgresql-17-pgvector", "redis-server", "redis-tools"),
    suite="trixie",
    files=(("usr/local/sbin/data-tier", _START),),
    changes=('CMD ["/bin/bash", "/usr/local/sbin/data-tier"]',),
    purpose="PostgreSQL and Redis, in place of RDS and ElastiCache",
)


@dataclass(frozen=True)
class DataSecrets:
    """``master_password`` belongs to the database's master user; ``cache_token`` is the password of Redis (AUTH)."""

    master_username: str
    master_password: str
    cache_token: str


@dataclass(frozen=True)
class DataTier:
    """The addresses of a data tier on the lab's network; ``authority`` is the certificate to verify it with."""

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
    *,
    database: str = "default",
    vault: str | None = None,
    authority: Authority | None = None,
    throw_away: bool = False,
) -> DataTier:
    """Start the data tier ``name``, reachable by ``names`` on ``network``, and wait until both stores answer.

    A container that already runs stays, unless one of its inputs has changed: then it is replaced. Data are kept in the
    volume ``name`` until `stop` removes it.

    ``database`` is the server whose data PostgreSQL serves; it is empty while RDS has none (lost, or being restored).
    ``vault`` is the volume of `database_backups`. ``folder`` gets the secrets and the certificate that ``authority``
    issues for the names (None: an authority in the folder). These files are readable by their owner only, and mounted
    into the container.

    Raises UserError when the volume belongs to the secrets of another folder (``throw_away`` empties it instead), and
    when the stores do not answer within a minute.
    """
    _own_volume(name, folder, docker, throw_away)
    _write_secrets(values, folder / "secrets")
    authority = authority or ensure(folder / "authority")
    issued = authority.ensure_issued(folder / "tls", (*names, "localhost"), ("127.0.0.1",))
    shutil.copyfile(authority.certificate, folder / "tls" / "ca.crt")
    key = build_cache.key(
        (docker.image(image) or {}).get("Id"), network, names, vars(values), issued.chain, str(folder), database, vault
    )
    found = docker.container(name)
    if not (found and found["State"]["Running"] and found["Config"]["Labels"].get(_KEY) == key):
        docker.remove(name)
        docker.ensure_network(network)
        vaults = [f"--volume={vault}:/vault"] if vault else []
        aliases = [f"--network-alias={alias}" for alias in names]
        docker.output(
            "run", "--detach", "--name", name, f"--label={LABEL}=data", f"--label={_KEY}={key}",
            "--restart=unless-stopped", f"--network={network}", *aliases, f"--volume={name}:/data",
            f"--env=DATABASE={database}", *vaults,
            f"--volume={folder / 'secrets'}:/run/secrets:ro", f"--volume={folder / 'tls'}:/run/tls:ro",
            "--shm-size=256m", image,
        )  # fmt: skip
    remedy = f"See why with: docker logs {name}"
    processes.wait_for(lambda: _answers(docker, name), f"the data tier {name}", START_SECONDS, remedy, view)
    return DataTier(name, (names[0], DATABASE_PORT), (names[-1], CACHE_PORT), authority.certificate)


def stop(name: str, docker: Docker, *, folder: Path | None = None) -> None:
    """Remove the container, its data and its secrets (all of ``folder``)."""
    docker.remove(name)
    if _volume(name, docker) is not None:
        docker.output("volume", "rm", name)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def folder(locations: Locations, name: str) -> Path:
    """Return the folder with the secrets of a data tier that is started by hand."""
    return locations.work / "data" / name


def load_or_create_secrets(folder: Path) -> DataSecrets:
    """Return the secrets that `start` wrote into this folder, or new random ones."""
    saved = {
        key: (folder / "secrets" / key).read_text(encoding="utf-8")
        for key in DataSecrets.__annotations__
        if (folder / "secrets" / key).exists()
    }
    if set(saved) == set(DataSecrets.__annotations__):
        return DataSecrets(**saved)
    return DataSecrets("ollama_gpu_admin", secrets.token_urlsafe(24), secrets.token_hex(24))


def _own_volume(name: str, folder: Path, docker: Docker, throw_away: bool) -> None:
    """Make sure that the volume exists and has the identity of ``folder``."""
    file = folder / "identity"
    identity = file.read_text(encoding="ascii") if file.exists() else uuid.uuid4().hex
    owner = _volume(name, docker)
    if owner not in (None, identity):
        if not throw_away:
            raise UserError(
                f"The stores {name} belong to another checkout: the passwords in {folder} do not open them.",
                f"Use that checkout, or delete the data: ollama-gpu lab data stop {name}",
            )
        docker.remove(name)
        docker.output("volume", "rm", name)
        owner = None
    if owner is None:
        docker.output("volume", "create", f"--label={LABEL}=data", f"--label={_IDENTITY}={identity}", name)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.write_text(identity, encoding="ascii")


def _volume(name: str, docker: Docker) -> str | None:
    """Return a volume's identity: empty when it has none, None when the volume does not exist."""
    listed = docker.output("volume", "ls", "--format", '{{.Name}} {{.Label "' + _IDENTITY + '"}}')
    found = dict(line.partition(" ")[::2] for line in listed.splitlines())
    return found.get(name)


def _answers(docker: Docker, name: str) -> bool:
    # The file exists once PostgreSQL serves and Redis has started. Redis, when ready, refuses a PING without password.
    question = "test -e /run/data-is-up && redis-cli --tls --cacert /run/tls/ca.crt ping 2>&1 | grep -q NOAUTH"
    return docker.succeeds("exec", name, "bash", "-c", question)


def _write_secrets(values: DataSecrets, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for key, value in vars(values).items():
        file = folder / key
        file.touch(mode=0o600)
        file.write_text(value, encoding="utf-8")
