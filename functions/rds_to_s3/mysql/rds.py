"""The host names of Amazon RDS, and which regions' certificate authorities are included.

The forms of the names are those that AWS's own drivers accept, China's former one included:
https://github.com/aws/aws-advanced-nodejs-wrapper (``rds_utils.ts``).
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

RDS_CA_BUNDLE = Path(__file__).with_name("rds-ca-bundle.pem")
_REGION = r"(?:[a-z]{2,5}(?:-[a-z]+)+-\d+|global)"
"""``global``: the writer endpoint of an Aurora global database."""
_HOST = re.compile(
    rf"\.(?:(?P<first>{_REGION})\.rds(?:-fips)?|rds(?:-fips)?\.(?P<last>{_REGION}))\.amazonaws\.(?:com(?:\.cn)?|eu)\.?$",
    re.IGNORECASE,
)
_OF_A_ROOT = re.compile(rf"^# Amazon RDS (?:Beta |Preview )?({_REGION}) Root CA ", re.MULTILINE)


def rds_region(host: str) -> str | None:
    """Return the region of an RDS host, None for a host that is not one.

    Examples
    --------
    >>> rds_region("shop.cluster-ro-c1abcdefghij.eu-central-1.rds.amazonaws.com")
    'eu-central-1'
    >>> rds_region("shop.c1abcdefghij.rds.cn-north-1.amazonaws.com.cn")
    'cn-north-1'
    """
    match = _HOST.search(host)
    return (match["first"] or match["last"]).lower() if match else None


@cache
def included_regions() -> frozenset[str]:
    """Return the regions whose authorities are in the bundle."""
    return frozenset(_OF_A_ROOT.findall(RDS_CA_BUNDLE.read_text(encoding="ascii")))


def bundle_to_fetch(host: str) -> str | None:
    """Return the address of the authorities of an RDS host's region if they are not included, None otherwise.

    For the European Sovereign Cloud it is the page that links them.
    https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html

    Examples
    --------
    >>> bundle_to_fetch("shop.c1abcdefghij.rds.us-gov-west-1.amazonaws.com")
    'https://truststore.pki.us-gov-west-1.rds.amazonaws.com/us-gov-west-1/us-gov-west-1-bundle.pem'
    """
    region = rds_region(host)
    if region in {None, "global"} or region in included_regions():
        return None
    if region.startswith("eusc-"):
        return "https://docs.aws.eu/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html"
    if region.startswith("cn-"):
        place = "rds-truststore.s3.cn-north-1.amazonaws.com.cn"
    elif region.startswith("us-gov-"):
        place = "truststore.pki.us-gov-west-1.rds.amazonaws.com"
    else:
        place = "truststore.pki.rds.amazonaws.com"
    return f"https://{place}/{region}/{region}-bundle.pem"
