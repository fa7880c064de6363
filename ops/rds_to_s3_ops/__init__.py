"""The command ``rds-to-s3``: cli (typer) -> views (rich, pure) -> adapters of AWS (boto3)."""

VERSION = "0.1.0"
