"""The commands, one module per topic; `rds_to_s3_ops.cli` registers them."""
