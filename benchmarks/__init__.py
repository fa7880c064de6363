"""How fast, at what cost of CPU and memory, beside others: ``python -m benchmarks --help``."""
