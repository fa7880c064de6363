"""What PlanRun answers when it is asked what it reaches."""

from __future__ import annotations

import platform
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import pytest

from plan_run.handler import handler
from rds_to_s3.aws import self_check
from rds_to_s3.bucket_keys import CHECK_KEY
from rds_to_s3.errors import DatabaseLoginError, DatabaseUnreachableError, StorageRefusedError
from rds_to_s3.mysql.credentials import Credentials
from rds_to_s3.settings import DatabaseSettings
from tests.support.memory_store import MemoryStore

SETTINGS = DatabaseSettings(data_bucket="memory", database_credentials="ssm:/shop/db", database_ca_parameter="/shop/ca")


class Server:
    """A connection whose server answers what the check asks."""

    def __init__(self) -> None:
        self.closed = False

    def row(self, _: str) -> dict[str, Any]:
        return {"user": "extractor@%", "version": "8.4.3", "name": "shop"}

    def rows(self, _: str) -> list[dict[str, Any]]:
        return [{"value": "TLSv1.3"}]

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr(self_check, "fresh_credentials", lambda _: Credentials("db", 3306, "u", "shop", "s3cr3t"))
    monkeypatch.setattr(self_check, "ca_bundle", lambda *_, **__: "PEM")
    monkeypatch.setattr(self_check, "open_connection", lambda *_, **__: server)
    monkeypatch.setattr(self_check, "table_names", lambda *_: ["orders", "menu"])
    monkeypatch.setattr(self_check, "read_clock", lambda _: SimpleNamespace(role="primary", unobserved=None))
    names = [(2, 1, 6, "", ("10.0.1.7", 0))]
    monkeypatch.setattr(self_check, "socket", SimpleNamespace(getaddrinfo=lambda *_, **__: names, SOCK_STREAM=1))
    return server


def test_the_versions_are_those_of_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = self_check.loaded_libraries()
    packages = {"Powertools": "aws-lambda-powertools"}
    installed = {name: version(packages.get(name, name)) for name in self_check.LIBRARIES}
    assert versions == {"Python": platform.python_version(), **installed}


def test_a_library_that_cannot_be_loaded_is_named(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(self_check.LIBRARIES, "numpy", ("numpy_that_is_not_there", "__version__"))
    assert results()["libraries"] == "fail"
    answer = self_check.check_from_inside(SETTINGS, MemoryStore())
    assert answer["findings"][0]["message"] == "cannot load numpy: ModuleNotFoundError"


def results() -> dict[str, str]:
    answer = self_check.check_from_inside(SETTINGS, MemoryStore())
    assert answer["check"] is True
    assert "s3cr3t" not in str(answer)
    assert answer["reached"] == ("fail" not in {finding["result"] for finding in answer["findings"]})
    return {finding["check"]: finding["result"] for finding in answer["findings"]}


def test_it_goes_the_whole_way(server: Server) -> None:
    steps = ["libraries", "S3", "credentials", "authorities", "names", "login", "TLS", "grants", "clock"]
    assert results() == dict.fromkeys(steps, "pass")
    assert server.closed


def test_a_user_without_process_is_warned_of(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_check, "read_clock", lambda _: SimpleNamespace(role="replica", unobserved="process"))
    assert results()["clock"] == "warn"


@pytest.mark.parametrize("error", [DatabaseUnreachableError("no"), DatabaseLoginError("no"), RuntimeError("s3cr3t")])
def test_it_ends_where_it_cannot_log_in(server: Server, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(self_check, "open_connection", refuse)
    assert list(results().items())[-1] == ("login", "fail")


def test_plan_run_answers_it_and_plans_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_BUCKET", "memory")
    monkeypatch.setenv("DATABASE_CREDENTIALS", "ssm:/shop/db")
    store = MemoryStore()
    monkeypatch.setattr("plan_run.handler.ObjectStore", lambda _: store)
    assert handler({"check": True}, None)["reached"] is True
    assert list(store.objects) == [CHECK_KEY]


@pytest.mark.parametrize("refused", ["put", "get"])
def test_a_policy_that_refuses_to_write_or_to_decrypt_is_found(
    server: Server, refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise StorageRefusedError("a policy does not allow it")

    monkeypatch.setattr(MemoryStore, refused, refuse)
    found = results()
    assert found.pop("S3") == "fail"
    assert set(found.values()) == {"pass"}
