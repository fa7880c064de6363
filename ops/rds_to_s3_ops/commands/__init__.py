"""The commands, by what they are about; `rds_to_s3_ops.cli` puts them together."""
