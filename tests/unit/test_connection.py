"""TLS settings and the translation of errors, without a server."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pymysql
import pytest
from cryptography import x509

from rds_to_s3.errors import DatabaseAccessError, ReadInterruptedError, SettingsError, TableNotFoundError
from rds_to_s3.mysql.connection import RDS_CA_BUNDLE, Tls, database_error

RDS_HOST = "shop.c1abcdefghij.eu-central-1.rds.amazonaws.com"


def test_the_bundle_holds_the_authorities_of_rds_and_none_that_has_expired() -> None:
    certificates = x509.load_pem_x509_certificates(RDS_CA_BUNDLE.read_bytes())
    names = [certificate.subject.rfc4514_string() for certificate in certificates]
    assert any("eu-central-1 Root CA RSA2048 G1" in name for name in names)
    assert len(certificates) > 90
    assert min(certificate.not_valid_after_utc for certificate in certificates) > datetime.now(UTC) + timedelta(days=30)


def test_rds_hosts_are_verified_against_the_bundle_and_others_against_the_system() -> None:
    rds = Tls().context(RDS_HOST)
    other = Tls().context("db.example.com")
    assert rds
    assert other
    assert rds.verify_mode == other.verify_mode == ssl.CERT_REQUIRED
    assert rds.check_hostname
    assert other.check_hostname
    assert len(rds.get_ca_certs()) >= len(other.get_ca_certs()) + 80  # a few are among the system's


def test_a_lowered_guard_has_to_be_asked_for_by_name() -> None:
    assert Tls("off").context(RDS_HOST) is None
    unverified = Tls("unverified").context(RDS_HOST)
    assert unverified
    assert unverified.verify_mode == ssl.CERT_NONE


def test_a_ca_parameter_that_holds_no_certificate_is_said_so() -> None:
    with pytest.raises(SettingsError, match="DatabaseCaParameter"):
        Tls("verify", "no certificate").context("db.example.com")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (pymysql.err.OperationalError(1142, "SELECT command denied"), DatabaseAccessError),
        (pymysql.err.ProgrammingError(1146, "Table 'shop.orders' doesn't exist"), TableNotFoundError),
        (pymysql.err.OperationalError(1412, "Table definition has changed"), ReadInterruptedError),
        (pymysql.err.OperationalError(3024, "maximum statement execution time exceeded"), ReadInterruptedError),
        (pymysql.err.OperationalError(2013, "Lost connection"), ReadInterruptedError),
        (pymysql.err.InterfaceError(0, ""), ReadInterruptedError),
    ],
)
def test_a_vendor_error_becomes_one_of_ours_by_its_number(error: Exception, expected: type[Exception]) -> None:
    translated = database_error(error, "orders")
    assert type(translated) is expected
    assert "orders" in str(translated)
