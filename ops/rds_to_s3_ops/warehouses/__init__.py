"""The SQL that loads files into a warehouse, and what there is to load."""
