"""The first connection to an AWS endpoint: bounded, and the error names the endpoint."""

from __future__ import annotations

import ast
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rds_to_s3.errors import StorageUnavailableError
from rds_to_s3.s3 import endpoints

HOST = "secretsmanager.eu-west-1.amazonaws.com"


class Network:
    """Names, and addresses that answer or swallow what comes; its clock moves only while something waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **addresses: bool) -> None:
        self.addresses, self.now, self.asked = addresses, 0.0, list[str]()
        network = self

        class Socket:
            def __init__(self, *_: Any) -> None:
                self.timeout = 0.0

            def __enter__(self) -> Socket:
                return self

            def __exit__(self, *_: Any) -> None:
                pass

            def settimeout(self, seconds: float) -> None:
                self.timeout = seconds

            def connect(self, address: tuple[str, int]) -> None:
                network.asked.append(address[0])
                if not network.addresses[address[0]]:
                    network.now += self.timeout
                    raise TimeoutError("timed out")

        def look_up(host: str, port: int, **_: Any) -> list[Any]:
            if not network.addresses:
                raise socket.gaierror(-2, "Name or service not known")
            return [(2, 1, 6, "", (address, port)) for address in network.addresses]

        # Whole modules: the object that a test replaces would be everybody's.
        monkeypatch.setattr(
            endpoints,
            "socket",
            SimpleNamespace(getaddrinfo=look_up, socket=Socket, SOCK_STREAM=socket.SOCK_STREAM),
        )
        monkeypatch.setattr(endpoints, "time", SimpleNamespace(monotonic=lambda: network.now))


def ask(service: str = "secretsmanager") -> None:
    endpoints.require_answer(HOST, 443, service=service, region="eu-west-1")


@pytest.mark.parametrize("addresses", [1, 8])
def test_an_endpoint_that_swallows_everything_is_named_within_seconds(
    addresses: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Network(monkeypatch, **{f"a{number}": False for number in range(addresses)})
    with pytest.raises(StorageUnavailableError, match=r"interface endpoint com\.amazonaws\.eu-west-1\.secretsmanager"):
        ask()
    assert network.now <= endpoints.REACH_SECONDS


def test_one_address_that_answers_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(monkeypatch, first=False, second=True, third=False)
    ask()
    assert network.asked == ["first", "second"]


def test_a_name_that_is_unknown_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    Network(monkeypatch)
    with pytest.raises(StorageUnavailableError, match=r"the name secretsmanager\.eu.* is not known"):
        ask()


def test_s3_wants_a_gateway_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    Network(monkeypatch, a=False)
    with pytest.raises(StorageUnavailableError, match=r"gateway endpoint com\.amazonaws\.eu-west-1\.s3"):
        ask("s3")


@pytest.fixture
def try_first(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What a client of SSM does before it sends a request to a URL."""
    found: list[Any] = []
    events = SimpleNamespace(register_first=lambda event, handler: found.append((event, handler)))
    service = SimpleNamespace(service_name="ssm")
    client = SimpleNamespace(meta=SimpleNamespace(service_model=service, region_name="eu-west-1", events=events))
    assert endpoints.bound_first_connection(client) is client
    ((event, handler),) = found
    assert event == "before-send"
    monkeypatch.setattr(endpoints, "_reached", set())
    monkeypatch.setattr(endpoints, "getproxies", dict)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "shop-PlanRun")
    return lambda url: handler(request=SimpleNamespace(url=url))


def test_an_endpoint_that_has_answered_is_not_tried_again(
    try_first: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Network(monkeypatch, a=True)
    for _ in range(3):
        try_first("https://ssm.eu-west-1.amazonaws.com/")
    assert network.asked == ["a"]
    try_first("http://localhost:4566/")
    assert network.asked == ["a", "a"]


def test_one_that_has_not_is_tried_at_each_request(
    try_first: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Network(monkeypatch, a=False)
    for _ in range(2):
        with pytest.raises(StorageUnavailableError):
            try_first("https://ssm.eu-west-1.amazonaws.com/")
    assert network.asked == ["a", "a"]


def test_outside_lambda_nothing_is_tried(try_first: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(monkeypatch, a=False)
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME")
    try_first("https://ssm.eu-west-1.amazonaws.com/")
    assert network.asked == []


def test_behind_a_proxy_nothing_is_tried(try_first: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(monkeypatch, a=False)
    monkeypatch.setattr(endpoints, "getproxies", lambda: {"https": "http://proxy:3128"})
    monkeypatch.setattr(endpoints, "proxy_bypass", lambda _: False)
    try_first("https://ssm.eu-west-1.amazonaws.com/")
    assert network.asked == []


def test_every_client_of_the_functions_has_bounds_of_its_own() -> None:
    """Without, botocore waits for minutes where an endpoint is missing, and the error does not say which."""
    unbounded = []
    for module in sorted((Path(__file__).parents[2] / "functions").rglob("*.py")):
        tree = ast.parse(module.read_text(encoding="utf-8"))
        bounded = {
            id(call.func)
            for call in ast.walk(tree)
            if isinstance(call, ast.Call) and any(argument.arg == "config" for argument in call.keywords)
        }
        unbounded += [
            f"{module.name}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and ast.unparse(node) in {"boto3.client", "boto3.resource", "boto3.session", "boto3.Session"}
            and id(node) not in bounded
        ]
    # The one that makes clients for the others: it gives them all its bounds.
    assert [place.partition(":")[0] for place in unbounded] == ["clients.py"]
