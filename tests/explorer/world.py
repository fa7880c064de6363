"""One schedule: actors that take turns at a bucket, and a scheduler that owns every request and the clock.

Only one actor runs at any time. At each of its requests the scheduler chooses: the request happens, it fails in one of
the ways that requests fail, or another actor takes over. Nothing else chooses, so a schedule is its choices, and the
same choices play the same schedule.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from rds_to_s3.errors import StorageUnavailableError
from rds_to_s3.s3.objects import ConditionFailedError, ObjectStore, UploadGoneError
from tests.explorer.actor import Actor
from tests.explorer.bucket import Bucket, digest
from tests.explorer.choices import FAULTS, GO, NOTHING, READS, Bounds, Choice, DiedError, StoppedError, Used, Violation
from tests.explorer.source import SourceConnection, until

MOST_REQUESTS = 2_000
EXPIRY_SECONDS = 5_000.0  # longer than any lease


class ActorStore(ObjectStore):
    """The bucket as one actor sees it; each request is the scheduler's to decide."""

    def __init__(self, world: World, actor: Actor) -> None:
        self.bucket = "explored"
        self._world = world
        self._actor = actor


def _request(name: str, method: Any) -> Any:
    parameters = list(method.__code__.co_varnames[1 : method.__code__.co_argcount])

    @functools.wraps(method)
    def request(self: ActorStore, *arguments: Any, **named: Any) -> Any:
        given = dict(zip(parameters, arguments, strict=False)) | named
        return self._world.request(self._actor, name, given)

    return request


for _name, _method in list(vars(ObjectStore).items()):
    # `replace` is made of a request, and is none.
    if not _name.startswith("_") and _name != "replace" and callable(_method):
        setattr(ActorStore, _name, _request(_name, _method))


Decide = Callable[["World", str, Callable[[], list[Choice]]], Choice]


@dataclass
class World:
    """One schedule under way.

    Attributes
    ----------
    decide : callable
        Chooses among options: at a ``request``, of one who has just ``resumed``, or where somebody has ``ended``.
    watch : callable
        Looks at the bucket after each request that changed it.
    """

    bucket: Bucket
    script: str
    now: float
    decide: Decide
    watch: Callable[[World, Actor, str, dict[str, Any], Bucket], None]
    bounds: Bounds
    held_until: int | None = None
    page_seconds: float = 0.0
    quiet: bool = False
    tolerated: frozenset[str] = frozenset()
    actors: list[Actor] = field(default_factory=list)
    current: Actor | None = None
    used: Used = NOTHING
    trace: list[str] | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    violation: Violation | None = None
    stopped: bool = False
    requests: int = 0
    decisions: int = 0

    def __post_init__(self) -> None:
        self._over = threading.Semaphore(0)

    # --- what actors see ---

    def clock(self) -> float:
        """Return the time by the running actor's clock."""
        return self.now + (self.current.skew if self.current is not None else 0.0)

    def connect(self) -> SourceConnection:
        """Open a snapshot; the application has written since the last, if it writes at all."""
        self.script += "" if self.quiet else "c"
        return SourceConnection(self.script)

    def plan(self) -> int:
        """Let the application write, and return the number of the event that a plan reads the clock at."""
        self.script += "p"
        self.now += 1.0
        return len(self.script) - 1

    def bound(self, number: int) -> Any:
        """Return up to where that plan may read; a transaction that stays open holds it back."""
        return until(number if self.held_until is None else min(number, self.held_until))

    def state(self) -> int:
        """Stand for everything that the rest of the schedule depends on."""
        told = tuple((actor.told, actor.skew, actor.done, actor.thread is None) for actor in self.actors)
        running = self.current.number if self.current is not None else -1
        return hash((self.bucket.digest, digest(self.script, self.now), running, told))

    # --- requests ---

    def request(self, actor: Actor, operation: str, arguments: dict[str, Any]) -> Any:
        """Let an actor do a request, if and when the scheduler says so."""
        if self.stopped:
            raise StoppedError
        if actor.dead:
            raise DiedError
        self.requests += 1
        if self.requests > MOST_REQUESTS:
            self.fail(Violation("ends", f"{actor.name} does not end"))
        fault = self._fault(actor, operation, arguments)
        try:
            answer = self._perform(actor, operation, arguments, fault)
        except (ConditionFailedError, UploadGoneError, StorageUnavailableError) as error:
            self._tell(actor, operation, type(error).__name__)
            self._note(actor, operation, arguments, fault, type(error).__name__)
            raise
        self._tell(actor, operation, getattr(answer, "etag", answer))
        self._note(actor, operation, arguments, fault, "")
        if fault == "die after":
            actor.dead = True
            raise DiedError
        return answer

    def _tell(self, actor: Actor, operation: str, answer: object) -> None:
        actor.answered_at = self.clock()
        actor.told = digest(actor.told, operation, answer, self.now)

    def fail(self, violation: Violation) -> NoReturn:
        """End the schedule: an invariant does not hold."""
        self.violation = self.violation or violation
        self.stopped = True
        raise StoppedError

    def _perform(self, actor: Actor, operation: str, arguments: dict[str, Any], fault: str) -> Any:
        if fault == "die":
            actor.dead = True
            self._note(actor, operation, arguments, fault, "")
            raise DiedError
        if fault == "conflict":
            raise ConditionFailedError(arguments["key"])
        if fault == "down":
            raise StorageUnavailableError("S3 is down")
        if fault in {"lost", "again"}:
            with contextlib.suppress(ConditionFailedError, UploadGoneError):
                self._effect(actor, operation, arguments)
            if fault == "lost":
                raise StorageUnavailableError("the answer got lost")
        return self._effect(actor, operation, arguments)

    def _effect(self, actor: Actor, operation: str, arguments: dict[str, Any]) -> Any:
        if operation in READS:
            return self.bucket.apply(actor.invocation, "", operation, arguments)
        if operation in {"start_upload", "upload_part"}:
            return self.bucket.apply(actor.invocation, actor.unique(), operation, arguments)
        before = Bucket(dict(self.bucket.objects), dict(self.bucket.started))
        answer = self.bucket.apply(actor.invocation, actor.unique(), operation, arguments)
        try:
            self.watch(self, actor, operation, arguments, before)
        except Violation as violation:
            if violation.rule not in self.tolerated:
                self._note(actor, operation, arguments, "go", "")
                self.fail(violation)
        return answer

    # --- the scheduler ---

    def _fault(self, actor: Actor, operation: str, arguments: dict[str, Any]) -> str:
        """Return what becomes of a request, `go` as a rule; meanwhile other actors may have their turn."""
        can_switch = actor.thread is not None and not actor.fresh
        actor.fresh = False

        def options() -> list[Choice]:
            faults = self._faults(actor, operation, arguments)
            return [GO, *faults, *self._switches(actor)] if can_switch else [GO, *faults]

        choice = self._choose(options, "request")
        if choice.kind == "switch":
            self._hand_over(actor, choice)
            choice = self._choose(lambda: [GO, *self._faults(actor, operation, arguments)], "resumed")
        return choice.kind

    def _faults(self, actor: Actor, operation: str, arguments: dict[str, Any]) -> list[Choice]:
        if not actor.faulty or self.used.faults >= self.bounds.faults:
            return []
        kinds = ["down"]
        if operation not in READS:
            # A death before a request is one after the request that last changed something.
            kinds += ["lost", "die after"] if actor.made else ["lost", "die after", "die"]
        if operation in {"complete_upload", "start_upload"}:
            kinds.append("again")  # the others change nothing more when they are repeated
        if operation == "put" and (arguments.get("if_match") is not None or arguments.get("if_absent")):
            kinds += ["again", "conflict"]
        return [Choice(kind) for kind in kinds]

    def _switches(self, actor: Actor | None) -> list[Choice]:
        """Return who could take over, from `actor` or where one has ended."""
        if actor is not None and self.used.switches >= self.bounds.switches:
            return []
        expiries = ["no", "yes"] + ["stale"] * (self.bounds.stale_clocks and actor is not None)
        return [
            Choice("switch" if actor is not None else "go", other.number, expire)
            for expire in expiries
            for other in self.actors
            if other is not actor and not other.done and (other.thread is not None or other.may_begin(self.bucket))
        ]

    def _choose(self, options: Callable[[], list[Choice]], phase: str) -> Choice:
        self.decisions += 1
        try:
            choice = self.decide(self, phase, options)
        except StoppedError:
            self.stopped = True
            raise
        if choice is not GO:
            self.used = self.used.plus(choice.cost)
        return choice

    def allowed(self, options: list[Choice]) -> list[Choice]:
        """Return the options that the bounds leave."""
        return [choice for choice in options if self.used.plus(choice.cost).within(self.bounds)]

    def _hand_over(self, actor: Actor, choice: Choice) -> None:
        self._pass_time(actor, choice.expire)
        self._resume(self.actors[choice.actor])
        actor.go.acquire()
        if self.stopped:
            raise StoppedError
        self.current = actor

    def _pass_time(self, actor: Actor | None, expire: str) -> None:
        if expire == "no":
            return
        self.now += EXPIRY_SECONDS
        if expire == "stale" and actor is not None:
            actor.skew -= EXPIRY_SECONDS
        if self.trace is not None:
            stale = f", but not on the clock of {actor.invocation}" if expire == "stale" and actor else ""
            self.trace.append(f"-- all leases expire{stale}")

    def _resume(self, actor: Actor) -> None:
        self.current = actor
        if actor.thread is None:
            actor.thread = threading.Thread(target=self._play, args=(actor,), daemon=True)
            actor.thread.start()
        else:
            actor.go.release()

    def _play(self, actor: Actor) -> None:
        try:
            actor.program(self, actor)
        except StoppedError:
            pass
        except BaseException as error:  # whatever it is: somebody has to be told
            what = f"{actor.invocation} failed: {type(error).__name__}: {error}"
            self.violation = self.violation or Violation("fails as foreseen", what)
            self.stopped = True
        actor.done = True
        actor.told = 0
        self._next()

    def _next(self) -> None:
        """Let somebody go on where an actor has ended, without counting it as a switch."""
        if not self.stopped:
            self.current = None
            if self._switches(None):
                try:
                    choice = self._choose(lambda: self._switches(None), "ended")
                except StoppedError:
                    pass
                else:
                    self._pass_time(None, choice.expire)
                    self._resume(self.actors[choice.actor])
                    return
        self._end()

    def _end(self) -> None:
        """Wake those that wait, one after the other, so that their threads end."""
        waiting = next((a for a in self.actors if not a.done and a.thread is not None), None)
        if waiting is None:
            self._over.release()
            return
        self.stopped = True
        waiting.go.release()

    def play(self) -> None:
        """Play the schedule to its end."""
        self._resume(self.actors[0])
        self._over.acquire()
        self.current = None

    def play_alone(self, actor: Actor) -> None:
        """Let one more actor do its work undisturbed, in this thread."""
        self.current = actor
        self.stopped = False
        actor.program(self, actor)
        self.current = None

    def _note(self, actor: Actor, operation: str, arguments: dict[str, Any], fault: str, answer: str) -> None:
        if self.trace is None:
            return
        verb = f"{FAULTS[fault]} " if fault in FAULTS else ""
        what = arguments.get("key", arguments.get("prefix", ""))
        condition = " if unchanged" * (arguments.get("if_match") is not None)
        condition += " if absent" * bool(arguments.get("if_absent"))
        answer = f" -> {answer}" if answer else ""
        self.trace.append(f"{actor.invocation}: {verb}{operation} {what}{condition}{answer}")
