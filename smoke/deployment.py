"""Creates the two stacks of a trial, with the commands of docs/deploy.md."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
from botocore.exceptions import ClientError

from local.ministack_server import REPOSITORY
from local.sam import run_sam
from smoke.account import Account, StandIn
from smoke.errors import SmokeError
from smoke.place import choose_place

HERE = Path(__file__).resolve().parent
AUTHORITIES = REPOSITORY / "functions" / "rds_to_s3" / "mysql" / "rds-ca-bundle.pem"


@dataclass(frozen=True)
class Names:
    """The names of what a trial creates."""

    stack: str
    account_id: str

    @property
    def database_stack(self) -> str:
        return f"{self.stack}-database"

    @property
    def code_bucket(self) -> str:
        return f"{self.stack}-code-{self.account_id}"


def create_code_bucket(account: Account, names: Names) -> None:
    """Create the bucket that SAM uploads the functions to."""
    elsewhere = account.region != "us-east-1"
    location: dict[str, Any] = (
        {"CreateBucketConfiguration": {"LocationConstraint": account.region}} if elsewhere else {}
    )
    account.client("s3").create_bucket(Bucket=names.code_bucket, **location)


def create_database(account: Account, names: Names, work: Path) -> dict[str, str]:
    """Create the network, the database and RunSql; return the stack's outputs."""
    template = work / "database"
    shutil.rmtree(template, ignore_errors=True)
    packed = template / "run_sql"
    packed.mkdir(parents=True)
    shutil.copy(HERE / "database.yaml", template)
    shutil.copy(HERE / "run_sql.py", packed)
    shutil.copy(AUTHORITIES, packed)
    library = Path(pymysql.__file__).parent  # pure Python, so it runs on Lambda as it is
    shutil.copytree(library, packed / "pymysql", ignore=shutil.ignore_patterns("__pycache__"))
    place = choose_place(account)
    parameters = {
        "InstanceClass": place.instance_class,
        "EngineVersion": place.engine_version,
        "FirstZone": place.zones[0],
        "SecondZone": place.zones[1],
    }
    outputs = _deploy(
        account, names, names.database_stack, template=template / "database.yaml", parameters=parameters, work=work
    )
    if account.stand_in:
        _lead_to_stand_in(account, account.stand_in, outputs)
    return outputs


def create_stack(
    account: Account, names: Names, database: Mapping[str, str], parameters: Mapping[str, str], work: Path
) -> dict[str, str]:
    """Create the product's stack in the database's network, with its own VPC endpoints; return its outputs.

    Parameters
    ----------
    database : mapping
        The outputs of `create_database`.
    parameters : mapping
        Further template parameters.
    """
    build = work / "artifacts"
    run_sam(["build", "--build-dir", str(build)], account.environment, _log(work))
    own: dict[str, str] = {
        "DatabaseCredentials": f"secretsmanager:{names.database_stack}/reader",
        "TableList": json.dumps({"tables": ["orders", "menu", "vouchers", "readings"]}),
        "SubnetIds": database["SubnetIds"],
        "SecurityGroupIds": database["FunctionsGroupId"],
        "VpcEndpoints": "create",
        "VpcId": database["VpcId"],
        "RouteTableIds": database["RouteTableId"],
        # On, with its alarm, and not due while the trial lasts.
        "ScheduleState": "ENABLED",
        "ScheduleExpression": "cron(0 0 1 1 ? *)",
        "LogRetentionDays": "1",
    }
    if account.stand_in:
        own |= {"UseLayers": "false", "DatabaseCaParameter": account.stand_in.authority_parameter}
    return _deploy(
        account, names, names.stack, template=build / "template.yaml", parameters={**own, **parameters}, work=work
    )


def _deploy(
    account: Account, names: Names, stack: str, *, template: Path, parameters: Mapping[str, str], work: Path
) -> dict[str, str]:
    chosen = work / f"{stack}.yaml"
    chosen.write_text(json.dumps(parameters, indent=1) + "\n")  # JSON is YAML, and sam wants that file's name
    options = {
        "--template-file": str(template),
        "--stack-name": stack,
        "--s3-bucket": names.code_bucket,
        "--s3-prefix": stack,
        "--region": account.region,
        "--capabilities": "CAPABILITY_IAM",
        "--parameter-overrides": f"file://{chosen}",
        "--tags": "project=rds-to-s3-smoke",
    }
    words = [word for pair in options.items() for word in pair]
    run_sam(["deploy", *words, "--no-progressbar", "--no-confirm-changeset"], account.environment, _log(work))
    found = account.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: str(output["OutputValue"]) for output in found["Outputs"]}


def _log(work: Path) -> Path:
    return work / "sam.log"


def _lead_to_stand_in(account: Account, stand_in: StandIn, outputs: Mapping[str, str]) -> None:
    secrets = account.client("secretsmanager")
    held = json.loads(secrets.get_secret_value(SecretId=outputs["ReaderSecretArn"])["SecretString"])
    held |= {"host": stand_in.host, "port": stand_in.port}
    secrets.put_secret_value(SecretId=outputs["ReaderSecretArn"], SecretString=json.dumps(held))


@dataclass(frozen=True)
class Database:
    """The database as its owner reaches it: through RunSql."""

    account: Account
    outputs: Mapping[str, str]

    def secret(self, output: str) -> dict[str, Any]:
        """Return what the secret of an output holds."""
        answer = self.account.client("secretsmanager").get_secret_value(SecretId=self.outputs[output])
        found: dict[str, Any] = json.loads(answer["SecretString"])
        return found

    def run(self, *statements: str, errors: list[str] | None = None) -> list[list[str]]:
        """Run statements as the owner; return the rows of the last one.

        Parameters
        ----------
        errors : list, optional
            Gets what statements failed with. Without it, the first one is a `SmokeError`.
        """
        stand_in = self.account.stand_in
        owner = self.secret("OwnerSecretArn")
        payload = {
            "host": stand_in.host if stand_in else self.outputs["DatabaseHost"],
            "port": stand_in.port if stand_in else int(self.outputs["DatabasePort"]),
            "user": stand_in.user if stand_in else owner["username"],
            "password": stand_in.password if stand_in else owner["password"],
            "authority": stand_in.authority if stand_in else "",
            "database": "smoke",
            "statements": statements,
        }
        try:
            answer = self.account.client("lambda").invoke(
                FunctionName=self.outputs["RunSqlName"], Payload=json.dumps(payload)
            )
        except ClientError as error:
            raise SmokeError(f"RunSql cannot be called: {error}") from error
        said = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            raise SmokeError(f"RunSql failed: {said.get('errorType')}: {said.get('errorMessage')}")
        if errors is not None:
            errors.extend(said["errors"])
        elif said["errors"]:
            raise SmokeError(f"the database refused {said['errors'][0]}")
        rows: list[list[str]] = said["rows"]
        return rows
