"""Stand-in for the managed stores: PostgreSQL with pgvector and Redis in one container, by TLS and password only.

Data and secrets belong together: a volume has the name of the container, which is one for the whole machine, while the
secrets lie in a folder of one checkout. An identity on both says whether one is the other's. The volume has a folder
for each database server that RDS knows, and one of them, or none, is served.
"""

from __future__ import annotations

import secrets
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from ollama_gpu.errors import UserError
from ollama_gpu.progress import ProgressView

from . import execution, recipe
from .authority import Authority, keep
from .docker import LABEL, NETWORK, Docker
from .images import Image
from .places import Places

DATABASE_PORT = 5432
CACHE_PORT = 6379
START_SECONDS = 60.0

_IDENTITY = "ollama-gpu.lab.identity"  # label of a volume: whose secrets open it
_MADE_OF = "ollama-gpu.lab.key"  # label of a container

# What outlives the container is under /data; secrets and the certificate come in as files and stand on no command line.
_START = Path(__file__).with_suffix(".sh").read_text(encoding="utf-8")

IMAGE = Image(
    "data",
    ("ca-certificates", "postgresql-17", "postgresql-17-pgvector", "redis-server", "redis-tools"),
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
    *,
    database: str = "default",
    vault: str | None = None,
    authority: Authority | None = None,
    throw_away: bool = False,
) -> DataTier:
    """Start the container ``name`` that ``names`` lead to on ``network``, or find it running; returns when both answer.

    ``database`` names the server whose data are served, empty for none: RDS lost it or is still restoring it. ``vault``
    is the volume of backups (`lab.vault`). ``folder`` gets the secrets and the certificate that ``authority`` (None:
    one in the folder) issues for the names: files that only their owner reads, mounted into the container. Data are
    kept in the volume ``name`` until `stop` is asked to remove it; the container is made anew when anything that it is
    made of has changed.

    Raises UserError when the volume holds the data of another folder's secrets (with ``throw_away`` it is emptied
    instead), and when the stores do not answer in a minute.
    """
    _own_volume(name, folder, docker, throw_away)
    _write_secrets(values, folder / "secrets")
    authority = authority or keep(folder / "authority")
    issued = authority.keep(folder / "tls", (*names, "localhost"), ("127.0.0.1",))
    shutil.copyfile(authority.certificate, folder / "tls" / "ca.crt")
    made_of = recipe.key(
        (docker.image(image) or {}).get("Id"), network, names, vars(values), issued.chain, str(folder), database, vault
    )
    found = docker.container(name)
    if not (found and found["State"]["Running"] and found["Config"]["Labels"].get(_MADE_OF) == made_of):
        docker.remove(name)
        docker.ensure_network(network)
        vaults = [f"--volume={vault}:/vault"] if vault else []
        aliases = [f"--network-alias={alias}" for alias in names]
        docker.output(
            "run", "--detach", "--name", name, f"--label={LABEL}=data", f"--label={_MADE_OF}={made_of}",
            "--restart=unless-stopped", f"--network={network}", *aliases, f"--volume={name}:/data",
            f"--env=DATABASE={database}", *vaults,
            f"--volume={folder / 'secrets'}:/run/secrets:ro", f"--volume={folder / 'tls'}:/run/tls:ro",
            "--shm-size=256m", image,
        )  # fmt: skip
    remedy = f"See why with: docker logs {name}"
    execution.wait_for(lambda: _answers(docker, name), f"the data tier {name}", START_SECONDS, remedy, view)
    return DataTier(name, (names[0], DATABASE_PORT), (names[-1], CACHE_PORT), authority.certificate)


def stop(name: str, docker: Docker, *, keep_data: bool = False, folder: Path | None = None) -> None:
    """Remove the container, and its data with their secrets (all of ``folder``) unless they are to be kept."""
    docker.remove(name)
    if not keep_data:
        if _volume(name, docker) is not None:
            docker.output("volume", "rm", name)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def folder(places: Places, name: str) -> Path:
    """Where a data tier that is started by hand keeps its secrets."""
    return places.work / "data" / name


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


def _own_volume(name: str, folder: Path, docker: Docker, throw_away: bool) -> None:
    """Have the volume with the identity of ``folder``."""
    file = folder / "identity"
    identity = file.read_text(encoding="ascii") if file.exists() else uuid.uuid4().hex
    owner = _volume(name, docker)
    if owner not in (None, identity):
        if not throw_away:
            raise UserError(
                f"The stores {name} hold data that the passwords in {folder} do not open: another checkout made them.",
                f"Use that checkout, or give the data up: ollama-gpu lab data stop {name}",
            )
        docker.remove(name)
        docker.output("volume", "rm", name)
        owner = None
    if owner is None:
        docker.output("volume", "create", f"--label={LABEL}=data", f"--label={_IDENTITY}={identity}", name)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.write_text(identity, encoding="ascii")


def _volume(name: str, docker: Docker) -> str | None:
    """The identity on a volume; empty when it has none, None when there is no such volume."""
    listed = docker.output("volume", "ls", "--format", '{{.Name}} {{.Label "' + _IDENTITY + '"}}')
    found = dict(line.partition(" ")[::2] for line in listed.splitlines())
    return found.get(name)


def _answers(docker: Docker, name: str) -> bool:
    # The file appears when PostgreSQL serves and Redis was started; a serving Redis refuses a PING without password.
    question = "test -e /run/data-is-up && redis-cli --tls --cacert /run/tls/ca.crt ping 2>&1 | grep -q NOAUTH"
    return docker.succeeds("exec", name, "bash", "-c", question)


def _write_secrets(values: DataSecrets, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for key, value in vars(values).items():
        file = folder / key
        file.touch(mode=0o600)
        file.write_text(value, encoding="utf-8")
