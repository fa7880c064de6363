"""Rows as they came off the wire: what `rds_to_s3.mysql` hands over and `rds_to_s3.formats` takes."""

from rds_to_s3.rows.block import Block
from rds_to_s3.rows.spooled import SpooledRow

__all__ = ["Block", "SpooledRow"]
