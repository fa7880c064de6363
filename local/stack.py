"""Deploys the stack to the local AWS with the same commands as to the real one: sam build, sam deploy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from local.database import LocalDatabase
from local.errors import LocalSystemError
from local.ministack_server import REPOSITORY, MiniStack
from local.sam import local_environment, run_sam

SECRET = "rds-to-s3/database"  # noqa: S105 - its name
CA_PARAMETER = "/rds-to-s3/database-ca"


def deploy(
    aws: MiniStack,
    database: LocalDatabase,
    directory: Path,
    *,
    stack_name: str,
    overrides: Mapping[str, str],
    say: Callable[[str], None],
) -> dict[str, str]:
    """Deploy the template of this checkout, unless it is already deployed.

    Parameters
    ----------
    directory : Path
        The directory for the build, the log and a record of the last deployment.
    overrides : mapping
        Template parameters, which win over the local defaults.

    Returns
    -------
    dict
        The stack's outputs by name.
    """
    directory.mkdir(parents=True, exist_ok=True)
    _publish_credentials(aws, database)
    parameters = {**_parameters(database), **overrides}
    note = directory / "deployed.json"
    fingerprint = _fingerprint(parameters, stack_name, aws)
    outputs = stack_outputs(aws, stack_name)
    if outputs and _read(note) == fingerprint:
        return outputs
    note.unlink(missing_ok=True)
    _sam(aws, directory, parameters, stack_name, say)
    outputs = stack_outputs(aws, stack_name)
    if outputs is None:
        raise LocalSystemError(
            f"the stack {stack_name} does not exist after its deployment; see {directory / 'sam.log'}"
        )
    note.write_text(fingerprint)
    return outputs


def stack_outputs(aws: MiniStack, stack_name: str) -> dict[str, str] | None:
    """Return the outputs of a completely deployed stack; None if there is none."""
    client = aws.client("cloudformation")
    try:
        stack = client.describe_stacks(StackName=stack_name)["Stacks"][0]
    except client.exceptions.ClientError:
        return None
    if stack["StackStatus"] not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        return None
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _publish_credentials(aws: MiniStack, database: LocalDatabase) -> None:
    reader = database.reader
    secret = {
        "engine": "mysql",
        "host": reader.host,
        "port": reader.port,
        "username": reader.user,
        "password": reader.password,
        "dbname": reader.database,
    }
    secrets_manager = aws.client("secretsmanager")
    try:
        secrets_manager.create_secret(Name=SECRET, SecretString=json.dumps(secret))
    except secrets_manager.exceptions.ResourceExistsException:
        secrets_manager.put_secret_value(SecretId=SECRET, SecretString=json.dumps(secret))
    if database.authority:
        aws.client("ssm").put_parameter(Name=CA_PARAMETER, Value=database.authority, Type="String", Overwrite=True)


def _parameters(database: LocalDatabase) -> dict[str, str]:
    # Runs are the user's to start; the functions find their libraries in the environment that MiniStack runs in.
    return {
        "DatabaseCredentials": f"secretsmanager:{SECRET}",
        "DatabaseTls": database.reader.tls,
        "DatabaseCaParameter": CA_PARAMETER if database.authority else "",
        "ScheduleState": "DISABLED",
        "UseLayers": "false",
    }


def _fingerprint(parameters: Mapping[str, str], stack_name: str, aws: MiniStack) -> str:
    # The server's process is part of it: what an earlier one held went with it.
    server = (aws.directory / "ministack.pid").read_text().strip()
    digest = hashlib.sha256(json.dumps([stack_name, parameters, server], sort_keys=True).encode())
    folders = (REPOSITORY / "functions", REPOSITORY / "statemachine")
    sources = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    for path in sorted([*sources, REPOSITORY / "template.yaml", REPOSITORY / "samconfig.toml"]):
        if "__pycache__" not in path.parts:
            digest.update(f"\0{path.relative_to(REPOSITORY)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _sam(
    aws: MiniStack, directory: Path, parameters: Mapping[str, str], stack_name: str, say: Callable[[str], None]
) -> None:
    build = directory / "artifacts"
    chosen = directory / "parameters.yaml"
    # JSON is YAML, and sam wants that file's name.
    chosen.write_text(json.dumps(parameters, indent=1) + "\n")
    log = directory / "sam.log"
    log.write_text("")
    say("building the functions (sam build) ...")
    environment = local_environment(aws)
    run_sam(["build", "--build-dir", str(build)], environment, log)
    say(f"deploying the stack {stack_name} (sam deploy) ...")
    deploy_options = {
        "--config-file": str(REPOSITORY / "samconfig.toml"),
        "--template-file": str(build / "template.yaml"),
        "--stack-name": stack_name,
        "--region": aws.environment["AWS_DEFAULT_REGION"],
        "--parameter-overrides": f"file://{chosen}",
    }
    options = [word for pair in deploy_options.items() for word in pair]
    run_sam(["deploy", *options, "--no-progressbar", "--no-confirm-changeset"], environment, log)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
