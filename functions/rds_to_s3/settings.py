"""The environment of each function, validated. Read when a handler is called, never at import time."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rds_to_s3.errors import SettingsError


class BucketSettings(BaseModel):
    """What every function needs."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    data_bucket: Annotated[str, Field(min_length=3)]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read the settings from the environment.

        Raises
        ------
        SettingsError
            A variable is missing or malformed; the message names each.
        """
        values = {name.lower(): value for name, value in (os.environ if environment is None else environment).items()}
        try:
            return cls.model_validate({name: values[name] for name in cls.model_fields if name in values})
        except ValidationError as error:
            wrong = "; ".join(
                ": ".join(filter(None, [".".join(map(str, detail["loc"])).upper(), detail["msg"]]))
                for detail in error.errors()
            )
            raise SettingsError(
                f"the function's environment is not usable: {wrong}. Check the stack's parameters."
            ) from None


class ManifestSettings(BucketSettings):
    """What WriteManifest needs.

    Attributes
    ----------
    glue_database : str
        Where partitions are registered; empty for nowhere.
    freshness_limit_hours : float
        The lag above which the alarm goes off.
    extract_memory_size : int or None
        MiB of ExtractTable, for the run's cost.
    alarm_topic : str
        The ARN of the topic that notices go to; empty for none.
    """

    glue_database: str = ""
    freshness_limit_hours: Annotated[float, Field(ge=1)] = 8.0
    extract_memory_size: Annotated[int, Field(ge=128)] | None = None
    architecture: Literal["arm64", "x86_64"] = "arm64"
    alarm_topic: str = ""


class DatabaseSettings(BucketSettings):
    """What a function that connects to MySQL needs.

    Attributes
    ----------
    database_credentials : str
        ``secretsmanager:…``, ``ssm:…`` or ``iam:…``.
    database_ca_parameter : str
        Name of an SSM parameter with further trust anchors in PEM; empty for none.
    database_iam_resource : str or None
        What the functions' roles may log in as; None for the command, which has other permissions.
    """

    database_credentials: str
    database_tls: Literal["verify", "unverified", "off"] = "verify"
    database_ca_parameter: str = ""
    database_iam_resource: str | None = None

    @model_validator(mode="after")
    def _iam_needs(self) -> Self:
        if not self.database_credentials.startswith("iam:"):
            return self
        if self.database_tls == "off":
            raise ValueError(
                "iam: credentials need TLS, over which alone RDS takes a token: deploy with DatabaseTls=verify"
            )
        if self.database_iam_resource == "":
            raise ValueError(
                "iam: credentials need DatabaseIamResource=<DbiResourceId>/<user>, the only one the functions log in as"
            )
        return self


class ExtractSettings(DatabaseSettings):
    """What ExtractTable needs.

    Attributes
    ----------
    mask_key_secret : str
        Name or ARN of the secret with the key of hashed columns; empty for none.
    """

    mask_key_secret: str = ""


class PlanSettings(DatabaseSettings):
    """What PlanRun needs."""

    table_list_parameter: str = ""

    max_concurrency: Annotated[int, Field(ge=1, le=40)] = 5
    settle_seconds: Annotated[float, Field(ge=2)] = 2.0
    unobserved_settle_seconds: Annotated[float, Field(ge=2)] = 900.0
