"""Corrects MiniStack at start where it differs from AWS in a way that matters to our state machine.

Each correction replaces a piece of MiniStack's own source, which must occur exactly once. With another release, whose
source differs, the start fails with a clear message.

1. A function's exception reaches Step Functions under its class's name (MiniStack says ``Runtime.HandlerError``), and
   leaves the worker process alive, as Lambda does; a worker that died is ``Runtime.ExitError``.
2. An inline Map obeys ``MaxConcurrencyPath`` (MiniStack knows the literal only).
3. A retrier obeys its ``MaxDelaySeconds``.
4. ``RedriveExecution``: the state that was entered and not left runs again, with its own input, under the same ARN and
   the definition that the execution began with; of an inline Map only the iterations that failed; the history
   continues; ``$$.Execution.RedriveCount`` and DescribeExecution report the number. Task, Map and Parallel are not
   entered a second time in the history, as on AWS.

Step Functions: https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
"""

from __future__ import annotations

import contextvars
import copy
import inspect
import json
import textwrap
import threading
from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any

from local.errors import LocalSystemError

WRITTEN_FOR = "1.5.33"

Response = tuple[int, dict[str, str], bytes]


def apply() -> None:
    """Correct the MiniStack that this process is about to run.

    Raises
    ------
    LocalSystemError
        MiniStack is another release than the one for which these corrections were written.
    """
    found = version("ministack")
    if found != WRITTEN_FOR:
        raise LocalSystemError(
            f"local/ministack_patches.py was written for MiniStack {WRITTEN_FOR} and this is {found}: "
            "check each correction against the new source, then change WRITTEN_FOR"
        )
    _name_exceptions_by_class()
    _heed_max_concurrency_path()
    _heed_max_delay()
    _add_redrive()
    _hash_parts_once()


def _module(name: str) -> Any:
    # Not by an import statement: MiniStack reads its environment when it is imported, and carries no types.
    return import_module(f"ministack.{name}")


def _replace(source: str, where: str, changes: tuple[tuple[str, str], ...]) -> str:
    for old, new in changes:
        if source.count(old) != 1:
            raise LocalSystemError(f"MiniStack's {where} is not as expected; it should contain once:\n{old}")
        source = source.replace(old, new)
    return source


def _rewrite(module: Any, name: str, *changes: tuple[str, str]) -> None:
    """Replace pieces of the source of ``module.name`` (a function, or ``Class.method``) and put it in place."""
    owner, _, attribute = name.rpartition(".")
    holder = getattr(module, owner) if owner else module
    function = getattr(holder, attribute)
    source = _replace(textwrap.dedent(inspect.getsource(function)), f"{module.__name__}.{name}", changes)
    names: dict[str, Any] = {}
    exec(compile(source, f"{module.__file__} (corrected)", "exec"), module.__dict__, names)  # noqa: S102
    setattr(holder, attribute, names[attribute])


def _name_exceptions_by_class() -> None:
    lambda_runtime = _module("core.lambda_runtime")
    lambda_svc = _module("services.lambda_svc")

    lambda_runtime._PYTHON_WORKER_SCRIPT = _replace(
        lambda_runtime._PYTHON_WORKER_SCRIPT,
        "python worker script",
        (
            (
                '"error": str(e), "trace": traceback.format_exc()})',
                '"error": str(e), "error_type": type(e).__name__, "trace": traceback.format_exc()})',
            ),
        ),
    )
    _rewrite(
        lambda_runtime,
        "Worker.invoke",
        ('"error": "Worker process died"}', '"error": "Runtime exited", "exited": True}'),
        ('if response.get("status") == "error":', 'if response.get("status") == "error" and "trace" not in response:'),
    )
    _rewrite(
        lambda_svc,
        "_execute_function_warm",
        (
            'error_type = "Runtime.HandlerError"',
            'error_type = "Runtime.ExitError" if result.get("exited") '
            'else result.get("error_type", "Runtime.HandlerError")',
        ),
    )


def _heed_max_concurrency_path() -> None:
    stepfunctions = _module("services.stepfunctions")

    _rewrite(
        stepfunctions,
        "_run_map_items",
        (
            'max_conc = state_def.get("MaxConcurrency", 0)\n',
            'max_conc = state_def.get("MaxConcurrency", 0)\n'
            '    if "MaxConcurrencyPath" in state_def:\n'
            '        max_conc = int(_resolve_path_or_ctx(state_def["MaxConcurrencyPath"], effective, ctx))\n',
        ),
        *_REDRIVE_MAP,
    )


def _heed_max_delay() -> None:
    stepfunctions = _module("services.stepfunctions")

    _rewrite(
        stepfunctions,
        "_execute_task",
        ("_scaled_sleep(min(sleep_sec, 60))", '_scaled_sleep(min(sleep_sec, retrier.get("MaxDelaySeconds", 3600)))'),
    )


# When the Map fails, the execution keeps the iterations that succeeded. Only a redrive uses them: a Retry of the Map
# itself runs all of them again.
_REDRIVE_MAP = (
    (
        "    errors = [None] * len(items)\n",
        "    errors = [None] * len(items)\n    kept = execution.pop('keptIterations', {})\n",
    ),
    (
        "    def run_item(idx, item):\n        try:\n",
        "    def run_item(idx, item):\n"
        "        if str(idx) in kept:\n"
        "            results[idx] = kept[str(idx)]\n"
        "            return\n"
        "        try:\n",
    ),
    (
        "    for err in errors:\n        if err is not None:\n",
        "    for err in errors:\n        if err is not None:\n"
        "            execution['finishedIterations'] = {\n"
        "                str(i): results[i] for i in range(len(items)) if errors[i] is None}\n",
    ),
)


def _add_redrive() -> None:
    stepfunctions = _module("services.stepfunctions")

    _rewrite(
        stepfunctions,
        "_run_execution",
        (
            'definition = json.loads(sm["definition"])',
            'definition = json.loads(execution.setdefault("definition", sm["definition"]))',
        ),
        (
            '"StartTime": execution["startDate"],',
            '"StartTime": execution["startDate"],\n            "RedriveCount": execution.get("redriveCount", 0),',
        ),
        (
            '    try:\n        while current_name and execution["status"] == "RUNNING":\n',
            '    redriven = bool(execution.get("redriveCount"))\n'
            "    if redriven:\n"
            '        current_name, current_input = json.loads(execution["position"])\n'
            '    try:\n        while current_name and execution["status"] == "RUNNING":\n'
            '            execution["position"] = json.dumps([current_name, current_input])\n',
        ),
        (
            '            _add_event(execution, f"{state_type}StateEntered", {\n'
            '                "stateEnteredEventDetails": {\n'
            '                    "name": current_name,\n'
            '                    "input": json.dumps(current_input),\n'
            "                },\n"
            "            })\n",
            '            if not redriven or state_type not in ("Task", "Map", "Parallel"):\n'
            '                _add_event(execution, f"{state_type}StateEntered", {"stateEnteredEventDetails": {\n'
            '                    "name": current_name, "input": json.dumps(current_input)}})\n'
            "            redriven = False\n",
        ),
        (
            "            current_name = next_name\n",
            "            current_name = next_name\n"
            '            execution["position"] = json.dumps([current_name, current_input])\n',
        ),
    )
    described = stepfunctions._describe_execution
    listened = stepfunctions.handle_request

    def describe_execution(data: dict[str, Any]) -> Response:
        status, headers, body = described(data)
        execution = stepfunctions._executions.get(data.get("executionArn"))
        if status == 200 and execution:
            return stepfunctions.json_response({**json.loads(body), **_redrive_fields(execution)})  # type: ignore[no-any-return]
        return status, headers, body

    async def handle_request(
        method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any]
    ) -> Response:
        if headers.get("x-amz-target", "").endswith(".RedriveExecution"):
            return stepfunctions._finalize_response(_redrive(stepfunctions, json.loads(body)))  # type: ignore[no-any-return]
        answer: Awaitable[Response] = listened(method, path, headers, body, query_params)
        return await answer

    stepfunctions._describe_execution = describe_execution
    stepfunctions.handle_request = handle_request


def _redrive_fields(execution: dict[str, Any]) -> dict[str, Any]:
    status = execution["status"]
    fields: dict[str, Any] = {"redriveCount": execution.get("redriveCount", 0)}
    if "redriveDate" in execution:
        fields["redriveDate"] = execution["redriveDate"]
    if status in {"FAILED", "ABORTED", "TIMED_OUT"}:
        return {**fields, "redriveStatus": "REDRIVABLE"}
    reason = f"Execution is {status} and cannot be redriven"
    return {**fields, "redriveStatus": "NOT_REDRIVABLE", "redriveStatusReason": reason}


def _redrive(stepfunctions: Any, data: dict[str, Any]) -> Response:
    refuse: Callable[[str, str, int], Response] = stepfunctions.error_response_json
    arn = data.get("executionArn")
    execution = stepfunctions._executions.get(arn)
    if not execution:
        return refuse("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'", 400)
    fields = _redrive_fields(execution)
    # A position exists as soon as one state was entered.
    if fields["redriveStatus"] != "REDRIVABLE" or json.loads(execution.get("position", "[null]"))[0] is None:
        return refuse("ExecutionNotRedrivable", fields.get("redriveStatusReason", "No state was entered"), 400)
    date = stepfunctions.now_iso()
    # A thread that was stopped may still wait for its function. It keeps the execution that it knows, which stays
    # stopped: on AWS it would not go on either.
    execution = stepfunctions._executions[arn] = copy.deepcopy(execution)
    execution.update(
        status="RUNNING",
        stopDate=None,
        output=None,
        error=None,
        cause=None,
        redriveCount=fields["redriveCount"] + 1,
        redriveDate=date,
        keptIterations=execution.pop("finishedIterations", {}),
    )
    details = {"executionRedrivenEventDetails": {"redriveCount": execution["redriveCount"]}}
    stepfunctions._add_event(execution, "ExecutionRedriven", details)
    stepfunctions._emit_execution_status_event(execution)
    # A new thread does not inherit the account and region that MiniStack keeps in context variables.
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(stepfunctions._run_execution, arn), daemon=True).start()
    answer: Response = stepfunctions.json_response({"redriveDate": date})
    return answer


def _hash_parts_once() -> None:
    # It hashed each part twice when it came, and again for the whole: three seconds of its one thread for 800 MB.
    s3 = _module("services.s3")
    _rewrite(
        s3,
        "_complete_multipart_upload",
        (
            'md5_digests += hashlib.md5(stored["body"]).digest()',
            'md5_digests += bytes.fromhex(stored["etag"].strip(\'"\'))',
        ),
    )
    _rewrite(
        s3,
        "_resolve_object_checksums",
        (
            "computed = _compute_s3_checksum(sdk_alg_raw, body)",
            "computed = checksums.get(sdk_key) or _compute_s3_checksum(sdk_alg_raw, body)",
        ),
    )
