"""An event-driven simulation of a fleet's day: users arrive, ask, wait and leave; instances boot, serve and drain.

Simulated: the load balancer's choice for a new browser (fewest connections, one per browser) and its cookie afterwards;
the gateway's slots, bounded queue and 503; prompts and decoding on each GPU; the latency of Open WebUI's processes; the
three scaling policies each minute, with the metrics that the agent would publish; boot times; drains; spot notices.
Not simulated: zones, failures other than spot, networks, data stores.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from math import exp, inf
from typing import Any

from ollama_gpu.planning.day import Day
from ollama_gpu.planning.demand import Demand
from ollama_gpu.planning.engine import Engine
from ollama_gpu.planning.host import Host
from ollama_gpu.planning.priors import Priors, between
from ollama_gpu.planning.quantiles import Quantiles
from ollama_gpu.planning.scaling import Figures, Policies, Tracker
from ollama_gpu.planning.serving import Chat, Gpu, Instance

MINUTE = 60.0
DAY = 86400.0
_POOL = 1 << 13
_MONTH_SECONDS = 30 * DAY
_ENTRY_MINUTES = 15


@dataclass(frozen=True)
class Service:
    """One instance of the fleet: its engine, settings and vCPUs, and its boot time."""

    engine: Engine
    host: Host
    vcpus: int
    boot_seconds: float


@dataclass
class Entry:
    """15 minutes: users, load and instances at the end; waits (seconds) and refusals during it."""

    at: float
    users: int = 0
    instances: int = 0
    load_percent: float = 0.0
    waits: Quantiles = field(default_factory=Quantiles)
    refused: int = 0


@dataclass
class Outcome:
    """``refused``: the queue was full; ``timed_out``: no slot in time; ``cut``: lost with the instance."""

    seconds: float
    chats: int = 0
    refused: int = 0
    timed_out: int = 0
    cut: int = 0
    moved: int = 0
    spot_losses: int = 0
    tokens: float = 0.0
    on_demand_hours: float = 0.0
    spot_hours: float = 0.0
    fewest: int = 0
    most: int = 0
    waits: Quantiles = field(default_factory=Quantiles)
    entries: list[Entry] = field(default_factory=list)
    decisions: list[tuple[float, int, str]] = field(default_factory=list)

    @property
    def instance_hours(self) -> float:
        return self.on_demand_hours + self.spot_hours


class _User:
    __slots__ = ("instance", "leaves")

    def __init__(self, leaves: float) -> None:
        self.leaves = leaves
        self.instance: Instance | None = None


def run(
    day: Day, demand: Demand, service: Service, policies: Policies, priors: Priors, seed: int = 1, seconds: float = DAY
) -> Outcome:
    """Simulate from midnight on. ``day`` gives the number of users; ``demand.users`` is not used."""
    return _Simulation(day, demand, service, policies, priors, seed, seconds).run()


class _Simulation:
    def __init__(
        self, day: Day, demand: Demand, service: Service, policies: Policies, priors: Priors, seed: int, seconds: float
    ) -> None:
        self.day, self.demand, self.service, self.policies, self.priors = day, demand, service, policies, priors
        self.seconds = seconds
        self.random = random.Random(seed)  # noqa: S311 - a repeatable day, no secret
        self.outcome = Outcome(seconds)
        self.instances: list[Instance] = []
        self.desired = max(policies.minimum(0), policies.min_size)
        self.tracker = Tracker(policies)
        self.users = 0
        self.events: list[tuple[float, int, Callable[..., None], Any]] = []
        self.order = count()
        self.now = 0.0
        self.think_rate = 1 / demand.think_seconds if demand.think_seconds else inf
        self.stay = 60 * priors.value("session_minutes")
        self.retry = priors.value("retry_seconds")
        self.chat_cpu = priors.value("webui_chat_cpu_ms") / 1000 * demand.answer_tokens / 200
        self.page_cpu = priors.value("webui_page_cpu_ms") / 1000
        self.socket_cpu = priors.value("webui_socket_cpu_ms_per_second") / 1000
        self.engine_cores = priors.value("engine_cpu_cores")
        self.chat_requests = priors.value("requests_per_chat")
        self.page_requests = priors.value("requests_per_page_load")
        spread = priors.value("answer_spread")
        # drawn once and reused: a day has millions of answers
        self.lengths = [
            max(1.0, demand.answer_tokens * exp(self.random.gauss(-spread * spread / 2, spread))) for _ in range(_POOL)
        ]
        self.normals = [self.random.gauss(0, 1) for _ in range(_POOL)]
        self.added = self._added()
        self.entry = Entry(0.0)

    def run(self) -> Outcome:
        for _ in range(self.desired):
            self._launch(booted=True)
        self._minute(None)
        events, end = self.events, self.seconds
        while events:
            self.now, _, what, about = heappop(events)
            if self.now > end:
                break
            what(about)
        self.now = end
        for instance in self.instances:
            self._count_hours(instance, end)
        self.outcome.waits.include(self.entry.waits)  # the last entry, if it is incomplete
        return self.outcome

    # -- users -------------------------------------------------------------------------------------------------------

    def _arrive(self, _nothing: None) -> None:
        user = _User(self.now + self.random.expovariate(1 / self.stay))
        self.users += 1
        self._connect(user)
        self._think(user)

    def _connect(self, user: _User) -> None:
        """Load the page in a browser without a cookie: the load balancer chooses the instance."""
        serving = [instance for instance in self.instances if instance.serves(self.now)]
        if not serving:
            user.instance = None
            return
        chosen = min(serving, key=_connections)
        chosen.users += 1
        chosen.requests += self.page_requests
        chosen.cpu_seconds += self.page_cpu
        user.instance = chosen

    def _think(self, user: _User) -> None:
        pause = self.random.expovariate(self.think_rate) if self.think_rate != inf else 0.0
        heappush(self.events, (self.now + pause, next(self.order), self._ask, user))

    def _ask(self, user: _User) -> None:
        if self.users > self.wanted_users:
            self._leave(user)
            return
        if self.now >= user.leaves:  # another user takes the place, with another browser
            user.leaves = self.now + self.random.expovariate(1 / self.stay)
            self._disconnect(user)
            self._connect(user)
        instance = user.instance
        if instance is None or not instance.serves(self.now):
            if instance is not None:
                self.outcome.moved += 1
            self._disconnect(user)
            self._connect(user)
            instance = user.instance
            if instance is None:
                self._refuse(user)
                return
        tokens = self.lengths[self.random.getrandbits(13)]
        chat = Chat(user, self.now, self.demand.prompt_tokens, tokens)
        instance.requests += self.chat_requests
        instance.cpu_seconds += self.chat_cpu * tokens / self.demand.answer_tokens
        self._admit(instance, chat)

    def _disconnect(self, user: _User) -> None:
        if user.instance is not None:
            user.instance.users -= 1
            user.instance = None

    def _leave(self, user: _User) -> None:
        self.users -= 1
        self._disconnect(user)

    def _refuse(self, user: _User) -> None:
        self.outcome.refused += 1
        self.entry.refused += 1
        self._ask_again(user)

    def _ask_again(self, user: _User) -> None:
        heappush(self.events, (self.now + self.retry, next(self.order), self._ask, user))

    # -- the gateway and the GPUs ------------------------------------------------------------------------------------

    def _admit(self, instance: Instance, chat: Chat) -> None:
        gpu = min(instance.gpus, key=_busy)
        if gpu.busy < self.service.host.slots:
            self._start(gpu, chat)
            return
        self._expire(instance)
        if len(instance.queue) >= self.service.host.queue_limit:
            self._refuse(chat.user)
        else:
            instance.queue.append(chat)

    def _expire(self, instance: Instance) -> None:
        queue, patience = instance.queue, self.service.host.queue_seconds
        while queue and self.now - queue[0].arrived > patience:
            self.outcome.timed_out += 1
            self.entry.refused += 1
            self._ask_again(queue.popleft().user)

    def _start(self, gpu: Gpu, chat: Chat) -> None:
        gpu.advance(self.now)
        gpu.busy += 1
        gpu.prompts.append(chat)
        if len(gpu.prompts) == 1:
            self._compute_prompt(gpu)

    def _compute_prompt(self, gpu: Gpu) -> None:
        seconds = gpu.prompts[0].prompt / gpu.engine.prompt_rate
        heappush(self.events, (self.now + seconds, next(self.order), self._prompt_done, gpu))

    def _prompt_done(self, gpu: Gpu) -> None:
        if gpu.instance.gone_at <= self.now:
            return
        gpu.advance(self.now)
        chat = gpu.prompts.popleft()
        gpu.decode(chat)
        wait = self.now - chat.arrived + 1 / gpu.engine.stream_rates[len(gpu.marks)]
        wait += self._webui(gpu.instance)
        self.outcome.chats += 1
        self.outcome.tokens += chat.tokens
        self.entry.waits.add(wait)
        if gpu.prompts:
            self._compute_prompt(gpu)
        self._watch(gpu)

    def _watch(self, gpu: Gpu) -> None:
        # One event per GPU is enough: an event that is too early checks again. Only an earlier end needs a new event.
        end = gpu.next_end()
        if end < gpu.due - 1e-9:
            gpu.due = end
            heappush(self.events, (end, next(self.order), self._look, gpu))

    def _look(self, gpu: Gpu) -> None:
        if gpu.due != self.now or gpu.instance.gone_at <= self.now:
            return
        gpu.due = inf
        gpu.advance(self.now)
        for chat in gpu.ended():
            self._think(chat.user)
            if gpu.instance.queue:
                self._expire(gpu.instance)
                if gpu.instance.queue:
                    self._start(gpu, gpu.instance.queue.popleft())
        self._watch(gpu)

    def _webui(self, instance: Instance) -> float:
        """Draw the seconds that the instance's processes add now, from a distribution with the measured p50 and p95."""
        streams = instance.in_flight // self.service.host.processes
        middle, spread = self.added[min(streams, len(self.added) - 1)]
        return middle * exp(spread * self.normals[self.random.getrandbits(13)])

    def _added(self) -> list[tuple[float, float]]:
        """Return the median in seconds and the spread of its logarithm, by streams per process."""
        from math import log

        curve = self.priors.webui_added_ms
        found = []
        for streams in range(int(curve.streams[-1]) + 1):
            middle, high = between(streams, curve.streams, curve.p50), between(streams, curve.streams, curve.p95)
            found.append((middle / 1000, log(high / middle) / 1.645))
        return found

    # -- the fleet ---------------------------------------------------------------------------------------------------

    def _minute(self, _nothing: None) -> None:
        self.wanted_users = self.day.users(self.now)
        coming = self.wanted_users - self.users
        for _ in range(max(0, coming)):
            moment = (
                self.now + self.random.random() * MINUTE if self.now else 0.0
            )  # the first users are there from the start
            heappush(self.events, (moment, next(self.order), self._arrive, None))
        figures = self._measure()
        members = [instance for instance in self.instances if not instance.draining]
        warmed = sum(self.now >= each.in_service_at + self.policies.warmup_seconds for each in members)
        size, by = self.tracker.desired(self.now, self.desired, warmed, figures)
        if size != self.desired:
            self.outcome.decisions.append((self.now, size, by))
            self.desired = size
        for _ in range(self.desired - len(members)):
            self._launch()
        for _ in range(len(members) - self.desired):
            leaving = self._to_terminate([instance for instance in members if not instance.draining])
            self._drain(leaving, self.policies.drain_seconds)
        self._note(figures)
        if self.now + MINUTE <= self.seconds:
            heappush(self.events, (self.now + MINUTE, next(self.order), self._minute, None))

    def _measure(self) -> Figures:
        """Return CloudWatch's metrics of the last minute: averages over the instances in service."""
        serving = [instance for instance in self.instances if instance.serves(self.now)]
        for instance in serving:
            self._expire(instance)
        if not serving or not self.now:
            return {"cpu": None, "inference load": None, "requests": None}
        load = sum(each.in_flight + len(each.queue) for each in serving) / (len(serving) * self.service.host.all_slots)
        cpu = requests = 0.0
        for each in serving:
            busy = sum(gpu.busy > 0 for gpu in each.gpus) * self.engine_cores * MINUTE
            cpu += (each.cpu_seconds + busy + each.users * self.socket_cpu * MINUTE) / (self.service.vcpus * MINUTE)
            requests += each.requests
            each.cpu_seconds = each.requests = 0.0
        return {
            "cpu": 100 * min(1, cpu / len(serving)),
            "inference load": 100 * load,
            "requests": requests / len(serving),
        }

    def _note(self, figures: Figures) -> None:
        size = sum(instance.gone_at == inf for instance in self.instances)
        self.outcome.most = max(self.outcome.most, size)
        self.outcome.fewest = min(self.outcome.fewest or size, size)
        if self.now and self.now % (_ENTRY_MINUTES * MINUTE) == 0:
            entry = self.entry
            entry.users, entry.instances = self.users, size
            entry.load_percent = figures["inference load"] or 0.0
            self.outcome.entries.append(entry)
            self.outcome.waits.include(entry.waits)
            self.entry = Entry(self.now)

    def _launch(self, *, booted: bool = False) -> None:
        instance = Instance(self.now, spot=self._next_is_spot())
        self.instances.append(instance)
        if booted:
            instance.in_service_at = self.now - self.policies.warmup_seconds
            self._equip(instance)
        else:
            heappush(
                self.events, (self.now + self.service.boot_seconds, next(self.order), self._into_service, instance)
            )
        if instance.spot:
            rate = self.priors.value("spot_losses_per_instance_month") / _MONTH_SECONDS
            heappush(self.events, (self.now + self.random.expovariate(rate), next(self.order), self._notice, instance))

    def _next_is_spot(self) -> bool:
        """Auto Scaling fills the on-demand base first and keeps the share above it."""
        alive = [instance for instance in self.instances if instance.gone_at == inf and not instance.draining]
        above = len(alive) + 1 - self.policies.on_demand_base
        wanted_on_demand = -(-above * (100 - self.policies.spot_percentage) // 100)  # AWS rounds towards on demand
        on_demand_above = sum(not instance.spot for instance in alive) - self.policies.on_demand_base
        return on_demand_above >= wanted_on_demand

    def _to_terminate(self, members: list[Instance]) -> Instance:
        """Choose the oldest instance of the kind (spot or on demand) that exceeds its configured share."""
        on_demand = sum(not instance.spot for instance in members)
        above = len(members) - 1 - self.policies.on_demand_base
        wanted = min(len(members), self.policies.on_demand_base) + max(
            0, -(-above * (100 - self.policies.spot_percentage) // 100)
        )
        kind = [instance for instance in members if instance.spot == (on_demand <= wanted)]
        return min(kind or members, key=_launched)

    def _into_service(self, instance: Instance) -> None:
        if not instance.draining:
            instance.in_service_at = self.now
            self._equip(instance)

    def _equip(self, instance: Instance) -> None:
        instance.gpus = [Gpu(instance, self.service.engine, self.now) for _ in range(self.service.host.gpus)]

    def _notice(self, instance: Instance) -> None:
        if instance.gone_at == inf and not instance.draining:
            self.outcome.spot_losses += 1
            self._drain(instance, min(self.policies.drain_seconds, self.priors.value("spot_notice_seconds")))
            self._launch()  # capacity rebalance: the replacement starts at the notice

    def _drain(self, instance: Instance, seconds: float) -> None:
        instance.draining = True
        heappush(self.events, (self.now + seconds, next(self.order), self._gone, instance))

    def _gone(self, instance: Instance) -> None:
        instance.gone_at = self.now
        self._count_hours(instance, self.now)
        self.instances.remove(instance)
        lost = [chat for gpu in instance.gpus for _, _, chat in gpu.marks]
        lost += [chat for gpu in instance.gpus for chat in gpu.prompts]
        self.outcome.cut += len(lost)
        for chat in [*lost, *instance.queue]:
            self._ask_again(chat.user)

    def _count_hours(self, instance: Instance, end: float) -> None:
        hours = (end - instance.launched_at) / 3600
        if instance.spot:
            self.outcome.spot_hours += hours
        else:
            self.outcome.on_demand_hours += hours


def _connections(instance: Instance) -> int:
    return instance.users


def _busy(gpu: Gpu) -> int:
    return gpu.busy


def _launched(instance: Instance) -> float:
    return instance.launched_at
