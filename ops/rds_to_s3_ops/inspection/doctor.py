"""Checks everything that a run depends on, in the order of a run. Thin: the check modules decide."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from rds_to_s3.aws.credentials import CredentialsSource
from rds_to_s3.aws.database import open_connection
from rds_to_s3.clean_up import cleaned_up
from rds_to_s3.errors import (
    CredentialsNotFoundError,
    DatabaseAccessError,
    DatabaseLoginError,
    DatabaseTlsError,
    RdsToS3Error,
    SettingsError,
)
from rds_to_s3.extract.scope.prepared_read import select_readable
from rds_to_s3.extract.scope.window import moved_from
from rds_to_s3.extract.stages.deletes import require_key
from rds_to_s3.mysql.credentials import Credentials, CredentialsReference
from rds_to_s3.mysql.select import account, quoted
from rds_to_s3.mysql.server.clock import local_times, read_clock
from rds_to_s3.mysql.server.identity import read_source
from rds_to_s3.plan.lists.databases import existing_tables, snapshot_of
from rds_to_s3.s3.objects import ObjectStore
from rds_to_s3_ops.deployment.aws import aws_errors, error_code, region_for_boto3
from rds_to_s3_ops.deployment.bucket import Bucket
from rds_to_s3_ops.deployment.database import database_settings
from rds_to_s3_ops.deployment.stack import Stack, find_stack
from rds_to_s3_ops.deployment.table_list_parameter import TableListDocument, TableListParameter
from rds_to_s3_ops.errors import AwsError, CommandError
from rds_to_s3_ops.findings import Finding, failed, passed, skipped
from rds_to_s3_ops.inspection import aws_checks, database_checks
from rds_to_s3_ops.inspection.inside import ask_plan_run
from rds_to_s3_ops.runs.runs import Runs
from rds_to_s3_ops.verify.unreported import CHECK, check_unreported, unreported_files

if TYPE_CHECKING:
    from rds_to_s3.commit.state import Commit
    from rds_to_s3.mysql.connection import Connection
    from rds_to_s3.plan.table_list import TableList, TableSpec
    from rds_to_s3.settings import DatabaseSettings
    from rds_to_s3_ops.deployment.aws import Aws

FUNCTIONS = ("PlanRun", "ExtractTable", "WriteManifest", "CheckRun")
NETWORK_SECONDS = 5
STATEMENT_SECONDS = 60
_WEEK = 7 * 86400
_FRESHNESS_HOURS = 8  # for a stack without the parameter
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "403"}
_NOT_CONFIGURED = {"NoSuchPublicAccessBlockConfiguration", "NoSuchLifecycleConfiguration"}

Findings = Iterator[Finding]


def examine(aws: Aws, stack_name: str) -> Findings:
    """Yield the finding of each check.

    Parameters
    ----------
    aws : Aws
    stack_name : str
    """
    try:
        with aws_errors():
            yield aws_checks.check_identity(aws.client("sts").get_caller_identity(), aws.region)
            stack = find_stack(aws.cloudformation(), stack_name)
            described = aws.cloudformation().describe_stacks(StackName=stack_name)["Stacks"][0]
    except CommandError as error:
        # All other checks need these.
        yield failed("AWS and the stack", str(error), "see docs/deploy.md")
        return
    yield aws_checks.check_stack(stack.name, described["StackStatus"])
    document, finding = _table_list(aws, stack)
    yield finding
    listed = document.checked if document is not None else None
    if document is not None and (stacks := stack.list_after_deploy) != "":
        yield aws_checks.check_stack_list(document.checked, stacks, document.url)
    yield from ask_plan_run(aws, stack)
    yield from examine_database(stack, listed, Bucket(aws.s3(), stack.bucket))
    yield from _bucket(aws, stack)
    yield from _functions(aws, stack)
    yield from _running(aws, stack)


def _table_list(aws: Aws, stack: Stack) -> tuple[TableListDocument | None, Finding]:
    try:
        bucket = Bucket(aws.s3(), stack.bucket)
        document = TableListParameter(aws.ssm(), stack.table_list_parameter, bucket).read()
    except CommandError as error:
        return None, _refused("table list", error, f"edit the SSM parameter {stack.table_list_parameter}")
    return document, aws_checks.check_table_list(document.checked, stack.table_list_parameter)


# --- the database -------------------------------------------------------------------------------------------------


def examine_database(stack: Stack, listed: TableList | None, bucket: Bucket) -> Findings:
    """Yield the findings about the database, or one that says why it is unreachable.

    Parameters
    ----------
    stack : Stack
    listed : TableList or None
        None if it cannot be read.
    bucket : Bucket
        Has the state of each table from the last run.
    """
    store = stack.parameters.get("DatabaseCredentials", "")
    try:
        settings = database_settings(stack)
        with region_for_boto3():
            credentials = CredentialsSource(CredentialsReference.parse(store)).get()
    except (CommandError, RdsToS3Error) as error:
        yield _no_credentials(store, error)
        return
    yield passed("database credentials", f"{store} can be read from here")
    finding = _reach(credentials, stack)
    yield finding
    if finding.verdict != "pass":
        return
    try:
        with region_for_boto3():
            connection = open_connection(settings, STATEMENT_SECONDS)
    except RdsToS3Error as error:
        yield from _no_connection(error, credentials, settings)
        return
    with closing(connection):
        try:
            yield from _server(connection, settings, stack)
            if listed is not None:
                yield from _tables(connection, listed, bucket)
        except RdsToS3Error as error:
            yield failed("database", f"{type(error).__name__}: {error}", f"see docs/errors.md, {type(error).__name__}")


def _no_credentials(store: str, error: Exception) -> Finding:
    check = "database credentials"
    cause = error.__cause__
    if isinstance(cause, ClientError) and error_code(cause) in _DENIED:
        return skipped(check, f"your permissions do not allow reading {store}; the functions use their own roles")
    if isinstance(error, CredentialsNotFoundError | SettingsError):
        return failed(check, str(error), "put host, port, username, password and dbname there (docs/deploy.md)")
    return failed(check, str(error), "see docs/deploy.md")


def _reach(credentials: Credentials, stack: Stack) -> Finding:
    where = f"{credentials.host}:{credentials.port}"
    try:
        socket.create_connection((credentials.host, credentials.port), NETWORK_SECONDS).close()
    except OSError as error:
        if stack.parameters.get("SubnetIds", "").strip(","):
            return skipped(
                "network from here",
                f"{where} cannot be reached from here ({error}), as is usual for a database in a private subnet: "
                "login, grants, clock and tables can only be checked inside the VPC",
            )
        return failed(
            "network from here",
            f"{where} cannot be reached ({error}), and the functions are in no VPC",
            "deploy with SubnetIds and SecurityGroupIds, or correct host and port in the credentials",
        )
    return passed("network from here", f"{where} answers")


def _no_connection(error: RdsToS3Error, credentials: Credentials, settings: DatabaseSettings) -> Findings:
    if isinstance(error, DatabaseTlsError):
        yield failed("TLS", str(error), "see docs/errors.md, DatabaseTlsError")
    elif isinstance(error, DatabaseLoginError):
        if settings.database_tls == "verify":
            yield passed("TLS", "the server's certificate and name are verified")
        yield failed("login", str(error), f"do what it says; user and password are in {settings.database_credentials}")
    elif isinstance(error, DatabaseAccessError):
        name = credentials.database.replace("`", "``")
        yield failed("login", str(error), f"GRANT SELECT ON `{name}`.* TO {account(credentials.username + '@%')}")
    else:
        yield failed("login", str(error), f"see docs/errors.md, {type(error).__name__}")


def _server(connection: Connection, settings: DatabaseSettings, stack: Stack) -> Findings:
    tls = connection.rows("SHOW SESSION STATUS LIKE 'Ssl_version'")
    yield database_checks.check_tls(settings.database_tls, str(tls[0]["value"]) if tls else "")
    me = connection.row("SELECT CURRENT_USER() AS user, VERSION() AS version, DATABASE() AS name")
    user = str(me["user"])
    product = "MariaDB" if connection.is_mariadb else "MySQL"
    yield passed("login", f"{user}, database {me['name']} on {product} {me['version']}")
    yield examine_privileges(connection, user)
    reading = read_clock(connection)
    yield database_checks.check_transactions(reading, user, stack.parameters.get("UnobservedSettleSeconds", "900"))
    yield database_checks.check_replica(reading)
    instants = [reading.utc_now + week * _WEEK for week in range(54)]
    yield database_checks.check_zone(reading.zone, instants, local_times(connection, instants))


def examine_privileges(connection: Connection, user: str) -> Finding:
    """Check whether the database user, or one of its roles, may do more than read."""
    grants = _grants(connection, "SHOW GRANTS")
    try:
        grants += _grants_by_roles(connection, database_checks.granted_roles(grants))
    except RdsToS3Error:
        return database_checks.check_privileges(grants, user, roles_seen=False)
    return database_checks.check_privileges(grants, user, roles_seen=True)


def _grants_by_roles(connection: Connection, roles: Sequence[str]) -> list[str]:
    if not roles:
        return []
    if not connection.is_mariadb:
        return _grants(connection, f"SHOW GRANTS FOR CURRENT_USER() USING {', '.join(roles)}")
    # MariaDB shows a role's privileges only while the role is active, one at a time.
    present = connection.row("SELECT CURRENT_ROLE() AS role")["role"]
    found: list[str] = []
    with cleaned_up(lambda: connection.run(f"SET ROLE {quoted(present) if present else 'NONE'}")):
        for role in roles:
            connection.run(f"SET ROLE {role}")
            found += _grants(connection, "SHOW GRANTS FOR CURRENT_ROLE")
    return found


def _grants(connection: Connection, statement: str) -> list[str]:
    return [str(next(iter(row.values()))) for row in connection.rows(statement)]


def _tables(connection: Connection, listed: TableList, bucket: Bucket) -> Findings:
    source = read_source(connection)
    specs = listed.resolve(existing_tables(connection, source.database, listed))
    sound, errors, moved = [], [], []
    for spec in specs:
        try:
            table = snapshot_of(connection, source.database, spec, seconds=STATEMENT_SECONDS)
            last = _last_commit(bucket, spec)
            selection = select_readable(connection, table, spec, last)
            if spec.deletes == "track":
                require_key(table, selection.denied)
            sound.append((table, selection, spec))
            if (former := moved_from(last, source)) is not None:
                moved.append((spec.name, former))
        except RdsToS3Error as error:
            errors.append((spec.name, error))
    every = [(table, selection) for table, selection, _ in sound]
    yield from database_checks.check_readable(len(specs), errors)
    yield from database_checks.check_indexes([(table, chosen) for table, chosen, spec in sound if spec.mode != "full"])
    yield from database_checks.check_changes(sound)
    yield from database_checks.check_keys(every)
    yield from database_checks.check_engines(every)
    yield from database_checks.check_sources(moved)


def _last_commit(bucket: Bucket, spec: TableSpec) -> Commit | None:
    """Return the state from the last run; None if it cannot be read, which the bucket's checks report."""
    try:
        return bucket.table_state(spec.name, spec.format).commit
    except CommandError:
        return None


# --- the stack's parts --------------------------------------------------------------------------------------------


def _bucket(aws: Aws, stack: Stack) -> Findings:
    s3, name = aws.s3(), stack.bucket

    def write() -> Finding:
        # Creating and aborting an upload proves that objects can be written and encrypted, and leaves no object.
        store, key = ObjectStore(name, s3), "_state/doctor"
        store.abort_upload(key, store.start_upload(key, content_type="text/plain", metadata={}))
        return passed("bucket is writable", f"s3://{name}, with your permissions")

    def public_access() -> Finding:
        answer = _configured(lambda: s3.get_public_access_block(Bucket=name))
        return aws_checks.check_public_access(answer.get("PublicAccessBlockConfiguration"))

    def lifecycle() -> Finding:
        answer = _configured(lambda: s3.get_bucket_lifecycle_configuration(Bucket=name))
        return aws_checks.check_lifecycle(answer.get("Rules", []))

    yield _looked("bucket is writable", write, "deploy again: the stack needs its bucket")
    yield _looked("bucket is private", public_access, "")
    yield _looked("abandoned uploads", lifecycle, "")
    yield _looked(
        "bucket keeps versions",
        lambda: aws_checks.check_versioning(s3.get_bucket_versioning(Bucket=name).get("Status")),
        "",
    )


def _functions(aws: Aws, stack: Stack) -> Findings:
    client = aws.client("lambda")
    layers: dict[str, str] = {}
    looked_at = []

    def look(name: str) -> Finding:
        physical = aws.cloudformation().describe_stack_resource(
            StackName=stack.name, LogicalResourceId=f"{name}Function"
        )["StackResourceDetail"]["PhysicalResourceId"]
        configuration = client.get_function_configuration(FunctionName=physical)
        looked_at.append(name)
        for layer in configuration.get("Layers", []):
            layers[layer["Arn"]] = ""
        return aws_checks.check_function(name, configuration)

    for name in FUNCTIONS:
        yield _looked(f"function {name}", lambda name=name: look(name), "deploy again")  # type: ignore[misc]
    for arn in layers:
        try:
            client.get_layer_version_by_arn(Arn=arn)
        except ClientError as error:
            layers[arn] = error_code(error)
    yield aws_checks.check_layers(stack.parameters.get("UseLayers", "true") == "true", layers if looked_at else None)


def _running(aws: Aws, stack: Stack) -> Findings:
    now = datetime.now(UTC)
    runs, bucket = Runs(aws.stepfunctions(), stack), Bucket(aws.s3(), stack.bucket)
    limit = stack.parameters.get("FreshnessLimitHours", "")

    def machine() -> Finding:
        status = aws.stepfunctions().describe_state_machine(stateMachineArn=stack.state_machine_arn)["status"]
        if status != "ACTIVE":
            return failed("state machine", f"is {status}", "deploy again")
        return passed("state machine", "is active")

    @cache
    def scheduled() -> Any:
        return aws.client("scheduler").get_schedule(Name=f"{stack.name}-extract-tables")

    def of_group(number: int) -> Finding:
        schedule = aws.client("scheduler").get_schedule(Name=f"{stack.name}-group-{number}")
        finding = aws_checks.check_schedule(schedule, now)
        message = f"{finding.message}, with the input {schedule['Target']['Input']}"
        return replace(finding, check=f"schedule of group {number}", message=message)

    def freshness_limit() -> Finding:
        return aws_checks.check_freshness_limit(scheduled()["ScheduleExpression"], int(limit))

    def last_run() -> Finding:
        newest = runs.recent(1)
        is_scheduled = stack.parameters.get("ScheduleState", "ENABLED") == "ENABLED"
        expected = 3600 * int(limit or _FRESHNESS_HOURS) if is_scheduled else None
        return aws_checks.check_last_run(newest[0] if newest else None, now, expected_seconds=expected)

    def alarms() -> Finding:
        topic = stack.outputs.get("AlarmTopicArn", "")
        if not topic:
            return skipped("alarms", "the stack has no output AlarmTopicArn")
        return aws_checks.check_subscribers(
            aws.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        )

    subnets = stack.parameters.get("SubnetIds", "")
    yield _looked("state machine", machine, "deploy again")
    yield _looked("schedule", lambda: aws_checks.check_schedule(scheduled(), now), "deploy again")
    for number in (1, 2, 3):
        if stack.parameters.get(f"GroupSchedule{number}Expression"):
            yield _looked(f"schedule of group {number}", partial(of_group, number), "deploy again")
    if limit:
        yield _looked("freshness limit", freshness_limit, "deploy again")
    yield _looked("last run", last_run, "")
    yield _looked("network from the functions", lambda: aws_checks.check_reached(bucket.latest_manifest(), subnets), "")
    yield _looked("alarms", alarms, "")
    yield _looked(CHECK, lambda: check_unreported(unreported_files(bucket, runs.running)), "")


# --- shared by the checks -----------------------------------------------------------------------------------------


def _looked(check: str, look: Callable[[], Finding], remedy: str) -> Finding:
    try:
        with aws_errors():
            return look()
    except CommandError as error:
        return _refused(check, error, remedy)


def _refused(check: str, error: CommandError, remedy: str) -> Finding:
    cause = error.__cause__
    if isinstance(error, AwsError) and isinstance(cause, ClientError) and error_code(cause) in _DENIED:
        return skipped(check, f"your permissions do not allow this check: {error}")
    return failed(check, str(error), remedy or "see docs/deploy.md")


def _configured(ask: Callable[[], Any]) -> dict[str, Any]:
    """Return S3's answer; empty if nothing is configured."""
    try:
        return dict(ask())
    except ClientError as error:
        if error_code(error) in _NOT_CONFIGURED:
            return {}
        raise
