"""The front door's container, kept in step with a view without interrupting connected clients."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ollama_gpu.core import files
from ollama_gpu.core.errors import UserError
from ollama_gpu.local.lab.build_cache import key
from ollama_gpu.local.lab.docker import LABEL, NETWORK, Docker
from ollama_gpu.local.lab.images import Image

from . import configuration, health, metrics, slots
from .admin import Admin
from .ports import ADDRESS, HTTP_VARIABLE, HTTPS_VARIABLE, Ports
from .stats import Row
from .view import Certificate, FrontDoorView

if TYPE_CHECKING:
    from ollama_gpu.local.lab.authority import Authority

IMAGE = Image("front-door", ("ca-certificates", "haproxy"), purpose="HAProxy, in place of the load balancer")
START_SECONDS = 20.0
_POLL_SECONDS = 0.05
_LOCAL_NAMES = ("localhost",)
_LOCAL_ADDRESSES = (ADDRESS,)


@dataclass
class FrontDoor:
    """The front door ``name`` of one environment.

    ``folder`` has its configuration, certificates and sockets; ``image`` is the reference of IMAGE. Call `reconcile`
    periodically; `health` and `metrics` use the view of the last call.
    """

    name: str
    folder: Path
    authority: Authority
    image: str
    docker: Docker
    ports: Ports = field(default_factory=Ports)
    network: str = NETWORK
    clock: Callable[[], float] = time.time
    _view: FrontDoorView = field(default_factory=FrontDoorView)
    _meter: metrics.Meter = field(default_factory=metrics.Meter)

    def reconcile(self, view: FrontDoorView, addresses: Mapping[str, str]) -> None:
        """Make the container serve ``view``, with its instances at ``addresses`` (instance ID to IPv4 address).

        Raises UserError when a local port is in use or HAProxy rejects the configuration, OSError when HAProxy does not
        answer.
        """
        self._view = view
        if not view.load_balancers:
            self.stop()
            return
        taken = slots.load(self._slots_file)
        shape = self._write_certificates(view)
        if not self._serves(view):
            taken = {}  # no client is connected, so every target is checked first
            self._write(view, taken)
            self._start(view)
            self._shape_file.write_text(shape, encoding="utf-8")
        elif self._shape_file.read_text(encoding="utf-8") != shape:
            self._reload(view, taken)
            self._shape_file.write_text(shape, encoding="utf-8")
        planned = slots.plan(view, addresses, taken, self._admin.rows(), self.clock())
        self._admin.run(planned.commands)
        if planned.slots != taken:
            slots.save(planned.slots, self._slots_file)
            self._write(view, planned.slots)  # for the next start of HAProxy

    def health(self) -> list[health.TargetHealth]:
        """Return the present health of the targets; nothing while there is no load balancer."""
        if not self._view.load_balancers:
            return []
        return health.judge(self._view, slots.load(self._slots_file), self._rows())

    def metrics(self) -> list[metrics.Traffic]:
        """Return each target group's traffic since the last call."""
        return self._meter.read(self._view, self._rows()) if self._view.load_balancers else []

    def stop(self) -> None:
        """Remove the container. Its certificates stay."""
        self.docker.remove(self.name)
        for file in (self._slots_file, self._shape_file):
            file.unlink(missing_ok=True)

    @property
    def _etc(self) -> Path:
        return self.folder / "etc"

    @property
    def _run(self) -> Path:
        return self.folder / "run"

    @property
    def _slots_file(self) -> Path:
        return self.folder / "slots.json"

    @property
    def _shape_file(self) -> Path:
        return self.folder / "shape"

    @property
    def _admin(self) -> Admin:
        return Admin(self._run)

    def _rows(self) -> dict[tuple[str, str], Row]:
        return self._admin.rows()

    def _serves(self, view: FrontDoorView) -> bool:
        found = self.docker.container(self.name)
        return bool(
            found
            and found["State"]["Running"]
            and found["Config"]["Labels"].get(LABEL) == self._wanted(view)
            and self._shape_file.exists()
        )

    def _wanted(self, view: FrontDoorView) -> str:
        image = (self.docker.image(self.image) or {}).get("Id")
        return key(image, self.network, self._published(view), self._names(view), str(self.folder))

    def _published(self, view: FrontDoorView) -> dict[int, int]:
        """Return the first load balancer's local ports, by the container's port."""
        listeners = view.load_balancers[0].listeners
        found = {configuration.port_inside(0, each.port): self.ports.of(each.port) for each in listeners}
        return {inside: port for inside, port in sorted(found.items()) if port is not None}

    def _names(self, view: FrontDoorView) -> list[str]:
        return sorted(balancer.dns_name for balancer in view.load_balancers)

    def _start(self, view: FrontDoorView) -> None:
        self.docker.remove(self.name)
        self.docker.ensure_network(self.network)
        self._run.mkdir(parents=True, exist_ok=True)
        for stale in self._run.iterdir():
            stale.unlink()
        published = self._published(view)
        try:
            self.docker.output(
                "run", "--detach", "--name", self.name, f"--label={LABEL}={self._wanted(view)}",
                "--restart=unless-stopped", "--log-driver=local", f"--network={self.network}",
                *(f"--network-alias={name}" for name in self._names(view)),
                *(f"--publish={ADDRESS}:{port}:{inside}" for inside, port in published.items()),
                f"--volume={self._etc}:{configuration.FOLDER}:ro", f"--volume={self._run}:{configuration.RUN}",
                self.image, "haproxy", "-W", "-db", "-f", f"{configuration.FOLDER}/haproxy.cfg",
            )  # fmt: skip
        except UserError as error:
            self.docker.remove(self.name)
            raise _port_taken(error) or error from error
        self._wait(lambda: self._admin.process() > 0)

    def _reload(self, view: FrontDoorView, taken: slots.Slots) -> None:
        """Reload HAProxy: a new process takes over the listeners, and the old one exits after its last stream."""
        before = self._admin.process()
        self._write(view, taken)
        check = ("exec", self.name, "haproxy", "-c", "-q", "-f", f"{configuration.FOLDER}/haproxy.cfg")
        self.docker.output(*check)
        state = self._run / configuration.STATE
        state.write_text(self._admin.ask("show servers state"), encoding="utf-8")
        self.docker.output("kill", f"--signal={signal.SIGUSR2.name}", self.name)
        try:
            self._wait(lambda: self._admin.process() != before)
        finally:
            state.unlink()  # valid for this reload only

    def _wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not _holds(condition):
            if time.monotonic() > deadline:
                raise UserError(
                    f"The front door {self.name} does not answer.", f"See why with: docker logs {self.name}"
                )
            time.sleep(_POLL_SECONDS)

    def _write(self, view: FrontDoorView, taken: slots.Slots) -> None:
        files.replace(self._etc / "haproxy.cfg", configuration.render(view, self.ports, taken), mode=0o600)

    def _write_certificates(self, view: FrontDoorView) -> str:
        """Write each certificate's file; return a digest of the certificates and the configuration without targets."""
        self._etc.mkdir(parents=True, exist_ok=True, mode=0o700)
        texts: list[str] = []
        for balancer in view.load_balancers:
            for listener in balancer.listeners:
                for certificate in listener.certificates:
                    text = self._certificate(certificate, balancer.dns_name)
                    file = self._etc / configuration.certificate_file(certificate)
                    if not file.exists() or file.read_text(encoding="ascii") != text:
                        files.replace(file, text, mode=0o600)
                    texts.append(text)
        return key(configuration.render(view, self.ports, {}), texts)

    def _certificate(self, certificate: Certificate, dns_name: str) -> str:
        # ACM does not export a certificate's key, so the authority issues a certificate for the same names.
        names = (*certificate.names, dns_name, *_LOCAL_NAMES)
        folder = self.folder / "issued" / configuration.certificate_file(certificate).removesuffix(".pem")
        issued = self.authority.ensure_issued(folder, dict.fromkeys(names), _LOCAL_ADDRESSES)
        return issued.key + issued.chain


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except OSError:
        return False


def _port_taken(error: UserError) -> UserError | None:
    """Return a clear error in place of Docker's when another program uses a local port."""
    if not re.search(r"port is already allocated|address already in use", error.message):
        return None
    found = re.search(rf"{re.escape(ADDRESS)}:(\d+)", error.message)
    return UserError(
        f"Port {found[1] if found else ''} of {ADDRESS} is taken, so the front door cannot start.",
        f"Stop the program that uses it, or choose other ports: {HTTPS_VARIABLE}=9443 {HTTP_VARIABLE}=9080",
    )
