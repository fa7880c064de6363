"""The scheduler: owns the bucket and the clock, and lets the actors have their turns."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rds_to_s3.errors import StorageUnavailableError, StoredBytesError
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3.s3.objects import ConditionFailedError, UploadGoneError
from tests.explorer.actor import Actor, Effect, Player
from tests.explorer.bucket import Bucket
from tests.explorer.choices import FAULTS, GO, NOTHING, READS, Bounds, Choice, Used, Violation
from tests.explorer.source import until
from tests.explorer.worker import CONNECT, Answer, Ended, Move, Request, Worker

MOST_REQUESTS = 2_000
EXPIRY_SECONDS = 5_000.0  # longer than any lease
DIED = "died"  # the result of an invocation whose process is gone


@dataclass(frozen=True)
class Rules:
    """What is the same in all schedules of a scenario.

    Attributes
    ----------
    watch : callable
        Looks at the bucket after each request that changed it.
    moves : dict
        What an invocation does next, by what it has been told.
    """

    spec: TableSpec
    bounds: Bounds
    watch: Callable[[World, Actor, Request, Bucket], None]
    held_until: int | None = None
    quiet: bool = False
    tolerated: frozenset[str] = frozenset()
    moves: dict[int, Move] = field(default_factory=dict)


class World:
    """A schedule under way. It is always at a decision: `options` are what may happen, `take` lets it happen.

    Attributes
    ----------
    phase : str
        At a ``request``, of one who has just ``resumed``, or where somebody has ``ended``.
    starts : dict
        When each run was started.
    """

    def __init__(self, rules: Rules, bucket: Bucket, script: str, now: float, page_seconds: float = 0.0) -> None:
        self.rules = rules
        self.bucket = bucket
        self.script = script
        self.now = now
        self.page_seconds = page_seconds
        self.actors: list[Actor] = []
        self.starts: dict[str, str] = {}
        self.current: Actor | None = None
        self.phase = "ended"
        self.used: Used = NOTHING
        self.requests = 0
        self.decisions = 0
        self.over = False
        self.violation: Violation | None = None
        self.trace: list[str] | None = None
        self._workers: dict[int, Worker] = {}

    def begin(self, players: tuple[Player, ...]) -> None:
        """Let players take part, and the first of them begin."""
        self.actors = [Actor(number, player) for number, player in enumerate(players)]
        self.over = False
        self.requests = 0
        self._guarded(self._turn_to, self.actors[0])

    def copy(self) -> World:
        """Return a world in the same place, whose schedule may continue otherwise."""
        twin = object.__new__(World)
        twin.__dict__.update(self.__dict__)
        twin.bucket = self.bucket.copy()
        twin.actors = [actor.copy() for actor in self.actors]
        twin.starts = dict(self.starts)
        twin.current = None if self.current is None else twin.actors[self.current.number]
        twin._workers = {}
        return twin

    def close(self) -> None:
        """Stop the code that runs."""
        for worker in self._workers.values():
            worker.stop()
        self._workers.clear()

    # --- what there is to know ---

    def clock(self) -> float:
        """Return the time by the running actor's clock."""
        return self.now + (self.current.skew if self.current is not None else 0.0)

    def plan(self) -> int:
        """Let the application write, and return the number of the event that a plan reads the clock at."""
        self.script += "p"
        self.now += 1.0
        return len(self.script) - 1

    def bound(self, number: int) -> Any:
        """Return up to where that plan may read; a transaction that stays open holds it back."""
        held = self.rules.held_until
        return until(number if held is None else min(number, held))

    def state(self) -> int:
        """Stand for everything that the rest of the schedule depends on."""
        running = self.current.number if self.current is not None else -1
        told = tuple((actor.told, actor.skew, actor.done, actor.begun) for actor in self.actors)
        return hash((self.bucket.digest, self.script, self.now, self.phase, running, told))

    # --- decisions ---

    def options(self) -> list[Choice]:
        """Return what may happen, the plain course first."""
        actor = self.current
        if actor is None:
            return self._switches(None)
        options = [GO, *self._faults(actor)]
        if self.phase == "request" and not actor.fresh:
            options += self._switches(actor)
        return options

    def allowed(self) -> list[Choice]:
        """Return the options that the bounds leave."""
        return [choice for choice in self.options() if self.used.plus(choice.cost).within(self.rules.bounds)]

    def take(self, choice: Choice) -> None:
        """Let one of the options happen, and everything after it up to the next decision."""
        self.decisions += 1
        if choice is not GO:
            self.used = self.used.plus(choice.cost)
        self._guarded(self._take, choice)

    def _guarded(self, action: Callable[[Any], None], what: Any) -> None:
        try:
            action(what)
        except Violation as violation:
            self.violation = violation
            self.over = True

    def _take(self, choice: Choice) -> None:
        actor = self.current
        if actor is None or choice.kind == "switch":
            self._pass_time(actor, choice.expire)
            if actor is not None:
                actor.interrupted = True
            self._turn_to(self.actors[choice.actor])
        else:
            self._perform(actor, choice.kind)

    def _faults(self, actor: Actor) -> list[Choice]:
        request, invocation = actor.request, actor.invocation
        assert request is not None and invocation is not None
        if not invocation.faulty or self.used.faults >= self.rules.bounds.faults:
            return []
        kinds = ["down"]
        if request.operation not in READS:
            # A death before a request is one after the request that last changed something.
            kinds += ["lost", "die after"] if actor.changes else ["lost", "die after", "die"]
        if request.operation in {"complete_upload", "start_upload"}:
            kinds.append("again")  # the others change nothing more when they are repeated
        given = request.arguments
        if request.operation == "put" and (given.get("if_match") is not None or given.get("if_absent")):
            kinds += ["again", "conflict"]
        return [Choice(kind) for kind in kinds]

    def _switches(self, actor: Actor | None) -> list[Choice]:
        """Return who could take over, from `actor` or where one has ended."""
        if actor is not None and self.used.switches >= self.rules.bounds.switches:
            return []
        expiries = ["no", "yes"] + ["stale"] * (self.rules.bounds.stale_clocks and actor is not None)
        return [
            Choice("switch" if actor is not None else "go", other.number, expire)
            for expire in expiries
            for other in self.actors
            if other is not actor and not other.done and (other.begun or other.player.may_begin(self.bucket))
        ]

    def _pass_time(self, actor: Actor | None, expire: str) -> None:
        if expire == "no":
            return
        self.now += EXPIRY_SECONDS
        if expire == "stale" and actor is not None:
            actor.skew -= EXPIRY_SECONDS
        if self.trace is not None:
            stale = f", but not on the clock of {actor.invoked}" if expire == "stale" and actor else ""
            self.trace.append(f"-- all leases expire{stale}")

    # --- turns ---

    def _turn_to(self, actor: Actor) -> None:
        self.current = actor
        actor.begun = True
        if actor.interrupted:
            actor.interrupted = False
            self.phase = "resumed"
        else:
            self._advance(actor)

    def _advance(self, actor: Actor) -> None:
        """Let an actor get to its next request, or to its end."""
        while True:
            if actor.invocation is None:
                step = actor.next(self)
                if step is None:
                    self._leave(actor)
                    return
                if isinstance(step, Effect):
                    actor.invoked = step.name
                    actor.fresh = False
                    step.do(self, actor)
                    actor.end(None)
                    continue
                actor.begin(step, self.clock())
            move = self._move(actor)
            if isinstance(move, Ended):
                if move.error is not None:
                    raise Violation("fails as foreseen", move.error)
                self._end_invocation(actor, move.result)
            elif move.operation == CONNECT:
                # The application has written since the last connection, if it writes at all.
                self.script += "" if self.rules.quiet else "c"
                actor.hear(CONNECT, Answer(self.script, self.clock()))
            else:
                actor.request = move
                self.phase = "request"
                return

    def _move(self, actor: Actor) -> Move:
        move = self.rules.moves.get(actor.told)
        if move is None:
            worker = self._workers.get(actor.number)
            if worker is None:
                assert actor.invocation is not None
                worker = self._workers[actor.number] = Worker(actor.invocation, actor.began_at)
            move = self.rules.moves[actor.told] = worker.move_after(actor.heard)
        return move

    def _end_invocation(self, actor: Actor, result: Any) -> None:
        worker = self._workers.pop(actor.number, None)
        if worker is not None:
            worker.stop()
        if self.trace is not None and isinstance(result, dict):
            self.trace.append(f"{actor.invoked} ends: {result['status']} {result.get('message', '')}".rstrip())
        actor.end(result)

    def _leave(self, actor: Actor) -> None:
        """End an actor; who continues then is no switch."""
        actor.done = True
        actor.told = 0
        self.current = None
        self.phase = "ended"
        self.over = not self._switches(None)

    # --- requests ---

    def _perform(self, actor: Actor, fault: str) -> None:
        request = actor.request
        assert request is not None
        actor.fresh = False
        self.requests += 1
        if self.requests > MOST_REQUESTS:
            raise Violation("ends", f"{actor.name} does not end")
        if fault != "die":
            try:
                value = self._answer(actor, request, fault)
            except (ConditionFailedError, UploadGoneError, StorageUnavailableError, StoredBytesError) as error:
                value = error.with_traceback(None)
            actor.hear(request.operation, Answer(value, self.clock()))
            self._note(actor, request, fault, value)
        else:
            self._note(actor, request, fault, None)
        if fault in {"die", "die after"}:
            self._end_invocation(actor, DIED)
        self._advance(actor)

    def _answer(self, actor: Actor, request: Request, fault: str) -> Any:
        if fault == "conflict":
            raise ConditionFailedError(request.place)
        if fault in {"lost", "again"}:
            with contextlib.suppress(ConditionFailedError, UploadGoneError):
                self._effect(actor, request)
        if fault in {"lost", "down"}:
            raise StorageUnavailableError("S3 cannot be reached")
        return self._effect(actor, request)

    def _effect(self, actor: Actor, request: Request) -> Any:
        operation, arguments = request
        if operation in READS:
            return self.bucket.apply(actor.invoked, "", operation, arguments)
        actor.changes += 1
        unique = f"{actor.invoked}.upload{actor.changes}"
        if operation in {"start_upload", "upload_part"}:
            return self.bucket.apply(actor.invoked, unique, operation, arguments)
        before = Bucket(dict(self.bucket.objects), dict(self.bucket.started))
        answer = self.bucket.apply(actor.invoked, unique, operation, arguments)
        try:
            self.rules.watch(self, actor, request, before)
        except Violation as violation:
            if violation.rule not in self.rules.tolerated:
                self._note(actor, request, "go", None)
                raise
        return answer

    def put(self, actor: Actor, key: str, body: bytes) -> None:
        """Write an object in the name of an actor, without a decision."""
        request = Request("put", {"key": key, "body": body})
        self.bucket.apply(actor.invoked, "", *request)
        self._note(actor, request, "go", None)

    def _note(self, actor: Actor, request: Request, fault: str, value: Any) -> None:
        if self.trace is None:
            return
        verb = f"{FAULTS[fault]} " if fault in FAULTS else ""
        condition = " if unchanged" * (request.arguments.get("if_match") is not None)
        condition += " if absent" * bool(request.arguments.get("if_absent"))
        answer = f" -> {type(value).__name__}" if isinstance(value, Exception) else ""
        self.trace.append(f"{actor.invoked}: {verb}{request.operation} {request.place}{condition}{answer}")
