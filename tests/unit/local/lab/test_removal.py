"""Removing an environment's lab keeps what other environments need."""

from __future__ import annotations

from ollama_gpu.local.lab import mirror, names, removal
from ollama_gpu.local.lab.docker import NETWORK, Docker


class Engine(Docker):
    """An engine with containers of the lab and their networks."""

    def __init__(self, containers: dict[str, set[str]]) -> None:
        self.containers = containers
        self.networks = {NETWORK, *(network for each in containers.values() for network in each)}

    def version(self) -> str | None:
        return "20.10"

    def ours(self, kind: str) -> list[str]:
        return sorted({"container": list(self.containers), "network": self.networks, "volume": []}[kind])

    def has_network(self, name: str) -> bool:
        return name in self.networks

    def on_network(self, name: str = NETWORK) -> set[str]:
        return {container for container, networks in self.containers.items() if name in networks}

    def remove(self, *containers: str) -> None:
        for name in containers:
            self.containers.pop(name, None)

    def output(self, *arguments: str, **_options: object) -> str:
        if arguments[:2] == ("network", "disconnect"):
            self.containers[arguments[-1]].remove(arguments[-2])
        elif arguments[:2] == ("network", "rm"):
            assert not self.on_network(arguments[2]), "Docker removes no network with containers"
            self.networks.remove(arguments[2])
        else:
            raise AssertionError(arguments)
        return ""


ONE, OTHER = names.network("lab-one"), names.network("lab-other")


def test_environment_is_removed_with_its_network_and_the_mirror_stays_for_another() -> None:
    engine = Engine({"lab-one-data": {ONE}, "lab-other-data": {OTHER}, mirror.NAME: {NETWORK, ONE, OTHER}})
    removed = removal.remove_environment("lab-one", engine)
    assert (removed.containers, removed.networks, removed.kept) == (["lab-one-data"], [ONE], [])
    assert engine.containers == {"lab-other-data": {OTHER}, mirror.NAME: {NETWORK, OTHER}}


def test_last_environment_also_removes_the_mirror_and_all_networks() -> None:
    engine = Engine({"lab-one-data": {ONE}, mirror.NAME: {NETWORK, ONE}})
    removal.remove_environment("lab-one", engine)
    assert (engine.containers, engine.networks) == ({}, set())


def test_build_on_the_shared_network_keeps_the_mirror() -> None:
    engine = Engine({"lab-one-data": {ONE}, "bake": {NETWORK}, mirror.NAME: {NETWORK, ONE}})
    removal.remove_environment("lab-one", engine)
    assert engine.containers == {"bake": {NETWORK}, mirror.NAME: {NETWORK}}
