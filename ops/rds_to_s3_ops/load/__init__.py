"""Brings a warehouse up to date: `load`."""
