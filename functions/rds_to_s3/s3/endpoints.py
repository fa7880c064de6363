"""The first connection to each AWS endpoint is tried with a short bound, and the error names the endpoint.

In a private subnet without an endpoint nothing answers. botocore then waits for each address and attempt anew: minutes
in all, longer than a function lives (https://docs.aws.amazon.com/vpc/latest/privatelink/aws-services-privatelink-support.html).
"""

from __future__ import annotations

import os
import socket
import time
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from rds_to_s3.errors import StorageUnavailableError

REACH_SECONDS = 6.0
"""The longest wait for all addresses of an endpoint together."""
ADDRESS_SECONDS = 3.0
_NAMES = {"s3": "S3", "ssm": "Parameter Store", "secretsmanager": "Secrets Manager"}
_reached: set[tuple[str, int]] = set()


def bound_first_connection(client: Any) -> Any:
    """Let a boto3 client try the connection before its first request; return the client.

    Raises
    ------
    StorageUnavailableError
        By the client's calls, where the endpoint does not answer.
    """
    service, region = str(client.meta.service_model.service_name), str(client.meta.region_name)

    def try_first(request: Any, **_: Any) -> None:
        if "AWS_LAMBDA_FUNCTION_NAME" not in os.environ:
            return  # an operator's machine, whose waits nobody ends
        url = urlsplit(request.url)
        host, port = str(url.hostname), url.port or (443 if url.scheme == "https" else 80)
        if (host, port) in _reached or (url.scheme in getproxies() and not proxy_bypass(host)):
            return
        require_answer(host, port, service=service, region=region)
        _reached.add((host, port))

    client.meta.events.register_first("before-send", try_first)
    return client


def require_answer(host: str, port: int, *, service: str, region: str) -> None:
    """Connect once, and close again.

    Raises
    ------
    StorageUnavailableError
        The name is unknown, or no address answers in `REACH_SECONDS`.
    """
    began = time.monotonic()
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise StorageUnavailableError(
            f"the name {host} of {_NAMES.get(service, service)} is not known here ({error.strerror or error}). "
            f"{_remedy(service, region)} The VPC needs DNS resolution and DNS host names."
        ) from error
    why: OSError = TimeoutError("timed out")
    for family, kind, protocol, _, address in found:
        left = REACH_SECONDS - (time.monotonic() - began)
        if left <= 0:
            break
        with socket.socket(family, kind, protocol) as connection:
            connection.settimeout(min(ADDRESS_SECONDS, left))
            try:
                connection.connect(address)
            except OSError as error:
                why = error
                continue
            return
    raise StorageUnavailableError(
        f"{_NAMES.get(service, service)} does not answer at {host}, port {port} ({why.strerror or why}). "
        f"{_remedy(service, region)}"
    ) from why


def _remedy(service: str, region: str) -> str:
    endpoint = f"com.amazonaws.{region}.{service}"
    if service == "s3":
        return (
            f"A function in a VPC needs the gateway endpoint {endpoint} in the route tables of its subnets, or a NAT "
            "gateway, and its security group must let port 443 out. VpcEndpoints=create makes it (docs/deploy.md)."
        )
    return (
        f"A function in a VPC needs the interface endpoint {endpoint} with private DNS, whose security group lets the "
        "function in on port 443, or a NAT gateway. VpcEndpoints=create makes it (docs/deploy.md)."
    )
