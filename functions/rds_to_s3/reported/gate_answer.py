"""What the gate last answered in a run: ``_state/runs/{run_id}/gate.json``.

A redrive enters the gate again with the same data. That a redriven Task sees a new ``RedriveCount`` is not documented,
so the gate also knows a redrive by its own last answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rds_to_s3.bucket_keys import gate_key
from rds_to_s3.commit.entries import Document
from rds_to_s3.plan.execution import started_at
from rds_to_s3.s3.objects import ObjectStore


class GateAnswer(Document):
    """What the object holds.

    Attributes
    ----------
    started_at : str
        Of the execution: an earlier one may have had its name.
    outcome : str
        ``finished_at`` of the manifest that the gate was asked about. WriteManifest writes a new one in each round.
    sent_again : bool
        Whether the gate sent the run round again. Otherwise it raised.
    attempt : int
        ``$$.State.RetryCount`` of the attempt that answered.
    redrives : int
        How many redrives of the execution are known.
    """

    version: int = 1
    started_at: str
    outcome: str
    sent_again: bool
    attempt: int
    redrives: int

    def means_redrive(self, outcome: str, attempt: int) -> bool:
        """Whether the run has been redriven, since the gate is asked about this outcome by this attempt.

        Step Functions counts a state's retries from 0, and a redrive begins at 0 again. A higher attempt is a retry
        of the one that answered, whose answer was lost: it gets the same answer.
        https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
        """
        return self.outcome == outcome and (self.sent_again or attempt <= self.attempt)


def read_gate_answer(store: ObjectStore, execution: Mapping[str, Any]) -> GateAnswer | None:
    """Return what the gate last answered in this execution; None where it has not, or it cannot be read."""
    stored = store.get(gate_key(str(execution["Name"])))
    try:
        answer = GateAnswer.from_json(stored.body) if stored else None
    except ValueError:
        return None
    return answer if answer is not None and answer.started_at == started_at(execution) else None


def known_redrives(store: ObjectStore, execution: Mapping[str, Any]) -> int:
    """How many redrives of the execution the gate has noticed, by ``RedriveCount`` or by itself."""
    answer = read_gate_answer(store, execution)
    return answer.redrives if answer else 0
