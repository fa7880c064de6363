"""Tries the product in a real AWS account: creates it beside a small database, runs it, deletes everything."""
