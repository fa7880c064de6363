"""``python -m smoke --region eu-west-1 --budget 1``: what ``make aws-smoke`` runs."""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from local.errors import LocalSystemError
from local.stack_parameters import parse_parameters
from local.system import HOME
from smoke.account import PREFIX, Account
from smoke.asking import Answer, ask
from smoke.clean_up import delete_all, delete_stack, find_left
from smoke.deployment import Names
from smoke.errors import SmokeError
from smoke.facts import AFTER_DELETION, FACTS, NOT_ASKED
from smoke.place import what_is_missing
from smoke.price import Purse, estimate, read_prices
from smoke.trial import Trial

HELD, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130
Say = Callable[[str], None]


def try_account(
    account: Account,
    budget: float,
    *,
    say: Say,
    answer: Callable[[str], str],
    work: Path,
    parameters: Mapping[str, str] | None = None,
    pause: float = 30,
    **settings: Any,
) -> int:
    """Ask, create everything, try it, ask AWS for the facts, delete everything.

    Parameters
    ----------
    answer : callable
        Asks the person who is to pay.
    parameters : mapping, optional
        Further parameters of the stack.
    pause : float
        Seconds between two looks at what is being deleted.
    settings
        See `Trial`.

    Returns
    -------
    int
        0 if no fact failed to hold; 1 if one did, or a step failed; 2 if nothing was created; 130 after Ctrl-C.
    """
    if not account.stand_in and (missing := what_is_missing(account.region, parameters or {})):
        for line in [*missing, "Nothing was created."]:
            say(line)
        return REFUSED
    expected = estimate(account.region)
    identity = account.client("sts").get_caller_identity()
    names = Names(f"{PREFIX}{secrets.token_hex(3)}", identity["Account"])
    try:
        find_left(account, names.stack)
    except (BotoCoreError, ClientError) as error:  # what cannot be found again could not be deleted
        for line in [f"error: what a trial leaves could not be listed: {error}", "Nothing was created."]:
            say(line)
        return REFUSED
    for line in _plan(account, names, identity["Arn"], expected):
        say(line)
    if expected > budget:
        say(f"That is more than the budget of ${budget:.2f}: nothing was created.")
        return REFUSED
    if answer("Create all this? [yes/no] ").strip().lower() not in {"y", "yes"}:
        say("Nothing was created.")
        return REFUSED
    work.mkdir(parents=True, exist_ok=True)
    purse = Purse(account.region, budget)
    trial = Trial(account, names, purse, work, say, parameters or {}, **settings)
    answers: list[Answer] = []
    code = _guarded(lambda: _try(trial, answers), say)
    say("\nDeleting everything. Ctrl-C leaves what is there then, and says how to delete it.")
    code = max(code, _guarded(lambda: _delete(trial, answers, say, pause), say))
    code = max(code, _report(trial, answers, expected, say))
    try:
        left = find_left(account, names.stack)
    except (BotoCoreError, ClientError) as error:
        left = None
        say(f"AWS does not say whether anything is left: {error}")
    if left is None or left:
        say("\nThis may still be there, and is billed:" if left is None else "\nThis is still there, and is billed:")
        for line in left.lines() if left else [f"  {names.stack}, {names.database_stack}, {names.code_bucket}"]:
            say(line)
        say(f"Delete it:  make aws-smoke CLEAN=1 REGION={account.region}")
        return max(code, FAILED)
    say("\nNothing is left in the account. Its bill shows the true cost tomorrow.")
    return code


def clean(account: Account, *, say: Say, answer: Callable[[str], str], pause: float = 30) -> int:
    """Delete what earlier trials have left in the region, after asking."""
    left = find_left(account)
    if not left:
        say(f"Nothing of a trial is in {account.region}.")
        return HELD
    say(f"Of earlier trials, this is in {account.region}:")
    for line in left.lines():
        say(line)
    if answer("Delete all this? [yes/no] ").strip().lower() not in {"y", "yes"}:
        say("Nothing was deleted.")
        return REFUSED

    def delete() -> None:
        # A stack leaves its bucket: look again.
        delete_all(account, left, say, pause=pause)
        delete_all(account, find_left(account), say, pause=pause)

    return _guarded(delete, say)


def _plan(account: Account, names: Names, who: str, expected: float) -> list[str]:
    prices = read_prices()
    return [
        f"This creates in account {names.account_id}, region {account.region}, as {who}:",
        f"  {names.database_stack}: a VPC without a way out, an RDS MySQL database of the smallest class,",
        "    two secrets, a function that fills the database, a queue",
        f"  {names.stack}: this product, with an interface endpoint of Secrets Manager in two zones",
        f"  {names.code_bucket}: a bucket for the functions' code",
        "It runs the state machine three times, breaks and redrives one run, and deletes all of it. That takes about",
        f"an hour, and at most ${expected:.2f}: two hours at the prices of {prices['region']} of {prices['as_of']}"
        + ("" if account.region == prices["region"] else f", times {prices['elsewhere']} for another region"),
        "Traces, metrics, and the roles that AWS makes for its own services stay; they cost nothing.",
    ]


def _try(trial: Trial, answers: list[Answer]) -> None:
    failure: Exception | None = None
    try:
        trial.play()
    except Exception as error:  # not a Ctrl-C; what was seen until here answers some of the facts
        failure = error
    trial.say("\nAsking for the facts ...")
    answers.extend(ask(fact, trial) for fact in FACTS)
    if failure:
        raise failure


def _delete(trial: Trial, answers: list[Answer], say: Say, pause: float) -> None:
    failure: SmokeError | None = None
    if trial.names.stack in find_left(trial.account, trial.names.stack).stacks:
        try:
            delete_stack(trial.account, trial.names.stack, say, pause=pause)
        except SmokeError as error:  # the database costs, too
            failure = error
        else:
            answers += [ask(fact, trial) for fact in AFTER_DELETION]
    left = find_left(trial.account, trial.names.stack)
    delete_all(trial.account, left.without(trial.names.stack) if failure else left, say, pause=pause)
    if failure:
        raise failure


def _guarded(work: Callable[[], None], say: Say) -> int:
    try:
        work()
    except KeyboardInterrupt:
        say("\ninterrupted")
        return INTERRUPTED
    except (SmokeError, LocalSystemError, BotoCoreError, ClientError) as error:
        say(f"\nerror: {error}")
        return FAILED
    except Exception:  # whatever it is, what was created must be deleted
        say(f"\nerror: {traceback.format_exc()}")
        return FAILED
    return HELD


def _report(trial: Trial, answers: Sequence[Answer], expected: float, say: Say) -> int:
    say("\nTimes")
    for step, seconds in trial.seconds.items():
        say(f"  {seconds:8.1f} s  {step}")
    for entry in trial.first_tables:
        say(f"  {entry['seconds']:8.1f} s  the first run's table {entry['table']}: {entry['rows']:,} rows")
    say(f"\nCost: about ${trial.purse.spent():.2f} by the price list (expected: at most ${expected:.2f})")
    if trial.run_costs:
        say(f"  of it the runs, by their manifests: ${sum(trial.run_costs):.4f}")
    say("\nFacts")
    for each in answers:
        say(each.line)
    for sentence in NOT_ASKED:
        say(f"  {'not in this trial':<20}  {sentence}")
    return FAILED if any(each.result == "did not hold" for each in answers) else HELD


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="make aws-smoke", description=__doc__)
    parser.add_argument("--region", required=True)
    parser.add_argument("--budget", type=float, help="in USD; nothing is created if the trial may cost more")
    parser.add_argument("--clean", action="store_true", help="delete what earlier trials have left")
    chosen = parser.parse_args(words)
    if wrong := _misuse(chosen):
        print(f"error: {wrong}")
        return REFUSED
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    account = Account(chosen.region)
    try:
        if chosen.clean:
            return clean(account, say=_say, answer=input)
        parameters = parse_parameters(os.environ.get("STACK_PARAMETERS", ""))
        return try_account(account, chosen.budget, say=_say, answer=input, work=HOME / "smoke", parameters=parameters)
    except (LocalSystemError, SmokeError, BotoCoreError, ClientError) as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return FAILED
    except (KeyboardInterrupt, EOFError):
        print(f"\ninterrupted. Whether anything is there:  make aws-smoke CLEAN=1 REGION={chosen.region}")
        return INTERRUPTED


def _misuse(chosen: argparse.Namespace) -> str | None:
    if os.environ.get("AWS_ENDPOINT_URL"):
        return "AWS_ENDPOINT_URL is set, as .local/env does: this shell does not talk to AWS. Open another one."
    if not chosen.region:
        return "name a region: make aws-smoke REGION=eu-west-1 BUDGET=1"
    if not chosen.clean and chosen.budget is None:
        return "name a budget in USD: make aws-smoke REGION=eu-west-1 BUDGET=1"
    return None


def _say(line: str) -> None:
    print(line, flush=True)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
