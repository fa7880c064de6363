"""Rows as read from the wire: `rds_to_s3.mysql` yields them, and `rds_to_s3.formats` writes them."""

from rds_to_s3.rows.block import Block
from rds_to_s3.rows.spooled import SpooledRow

__all__ = ["Block", "SpooledRow"]
