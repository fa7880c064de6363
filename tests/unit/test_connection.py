"""TLS settings and the translation of errors, without a server."""

from __future__ import annotations

import re
import ssl
from datetime import UTC, datetime, timedelta

import pymysql
import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from rds_to_s3.errors import DatabaseAccessError, ReadInterruptedError, SettingsError, TableNotFoundError
from rds_to_s3.mysql import connection as connection_module
from rds_to_s3.mysql.connection import Tls, database_error
from rds_to_s3.mysql.rds import RDS_CA_BUNDLE, bundle_to_fetch, included_regions, rds_region
from tests.template import load

RDS_HOST = "shop.c1abcdefghij.eu-central-1.rds.amazonaws.com"


def test_the_bundle_holds_the_authorities_of_rds_and_none_that_has_expired() -> None:
    certificates = x509.load_pem_x509_certificates(RDS_CA_BUNDLE.read_bytes())
    names = [certificate.subject.rfc4514_string() for certificate in certificates]
    assert any("eu-central-1 Root CA RSA2048 G1" in name for name in names)
    assert len(certificates) == 119
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


REGIONS_WITHOUT_AUTHORITIES = {"ap-east-2", "ap-southeast-6", "eusc-de-east-1", "me-west-1", "sa-west-1"}
"""The bundle lacks their authorities. A region that is new in the template is added to the bundle, or to these."""


def test_the_authorities_of_every_region_are_included_or_the_error_names_what_to_fetch() -> None:
    regions = set(load()["Mappings"]["LayersByRegion"])
    assert regions - included_regions() == REGIONS_WITHOUT_AUTHORITIES
    for region in regions:
        address = bundle_to_fetch(f"shop.c1abcdefghij.{region}.rds.amazonaws.com")
        assert (address is None) == (region in included_regions())


def test_each_region_has_the_three_roots_that_its_comments_claim() -> None:
    found: dict[str, set[str]] = {}
    for certificate in x509.load_pem_x509_certificates(RDS_CA_BUNDLE.read_bytes()):
        name = str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
        if match := re.fullmatch(r"Amazon RDS (?:Beta |Preview )?(\S+-\d) Root CA (.*)", name):
            found.setdefault(match[1], set()).add(match[2])
            assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
            certificate.verify_directly_issued_by(certificate)
    assert set(found) == included_regions()
    assert {frozenset(kinds) for kinds in found.values()} == {frozenset({"RSA2048 G1", "RSA4096 G1", "ECC384 G1"})}


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("shop.c1abcdefghij.eu-central-1.rds.amazonaws.com", "eu-central-1"),
        ("shop.c1abcdefghij.eu-central-1.rds.amazonaws.com.", "eu-central-1"),
        ("SHOP.C1ABCDEFGHIJ.EU-CENTRAL-1.RDS.AMAZONAWS.COM", "eu-central-1"),
        ("shop.cluster-c1abcdefghij.us-east-1.rds.amazonaws.com", "us-east-1"),
        ("shop.cluster-ro-c1abcdefghij.us-east-1.rds.amazonaws.com", "us-east-1"),
        ("shop.cluster-custom-c1abcdefghij.us-east-1.rds.amazonaws.com", "us-east-1"),
        ("shop.proxy-c1abcdefghij.us-east-1.rds.amazonaws.com", "us-east-1"),
        ("shop.c1abcdefghij.us-east-2.rds-fips.amazonaws.com", "us-east-2"),
        ("shop.c1abcdefghij.rds.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("shop.c1abcdefghij.rds-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("shop.c1abcdefghij.us-gov-east-1.rds.amazonaws.com", "us-gov-east-1"),
        ("shop.c1abcdefghij.rds.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("shop.c1abcdefghij.cn-northwest-1.rds.amazonaws.com.cn", "cn-northwest-1"),
        ("shop.c1abcdefghij.eusc-de-east-1.rds.amazonaws.eu", "eusc-de-east-1"),
        ("shop.cluster-ro-c1abcdefghij.eusc-de-east-1.rds.amazonaws.eu", "eusc-de-east-1"),
        ("shop.global-c1abcdefghij.global.rds.amazonaws.com", "global"),
        ("db.example.com", None),
        ("rds.amazonaws.com.example.com", None),
        ("shop.c1abcdefghij.eusc-de-east-1.rds.amazonaws.eu.example.com", None),
        ("shop.rds.amazonaws.com", None),
        ("evil-rds.amazonaws.com", None),
    ],
)
def test_the_hosts_of_rds_are_known_by_their_names(host: str, region: str | None) -> None:
    assert rds_region(host) == region


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("a.b.ap-east-2.rds.amazonaws.com", "https://truststore.pki.rds.amazonaws.com/ap-east-2/ap-east-2-bundle.pem"),
        (
            "a.b.rds.us-gov-south-9.amazonaws.com",
            "https://truststore.pki.us-gov-west-1.rds.amazonaws.com/us-gov-south-9/us-gov-south-9-bundle.pem",
        ),
        (
            "a.b.rds.cn-south-9.amazonaws.com.cn",
            "https://rds-truststore.s3.cn-north-1.amazonaws.com.cn/cn-south-9/cn-south-9-bundle.pem",
        ),
        (
            "a.b.eusc-de-east-1.rds.amazonaws.eu",
            "https://docs.aws.eu/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html",
        ),
    ],
)
def test_an_rds_host_of_an_unknown_region_names_the_bundle_to_fetch(host: str, address: str) -> None:
    message = connection_module._tls_message(host, f"{host}:3306", ssl.SSLError("self-signed certificate"))
    assert address in message
    assert "DatabaseCaParameter" in message
    assert address not in connection_module._tls_message("db", "db:3306", None)


@pytest.mark.parametrize(("host", "is_alias"), [("db.internal.example.com", True), (RDS_HOST, False)])
def test_another_name_of_an_rds_server_is_not_answered_with_an_authority_only(host: str, is_alias: bool) -> None:
    message = connection_module._tls_message(host, f"{host}:3306", ssl.SSLError("hostname mismatch"))
    assert ("put the endpoint that RDS shows into the credentials" in message) is is_alias
    assert "DatabaseCaParameter" in message


def test_the_global_endpoint_of_aurora_needs_no_other_bundle() -> None:
    assert bundle_to_fetch("shop.global-c1abcdefghij.global.rds.amazonaws.com") is None


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
