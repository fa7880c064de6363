"""The command ``rds-to-s3``: cli (typer) -> views (rich, pure) -> adapters of AWS (boto3)."""
