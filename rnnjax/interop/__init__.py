"""Weights and modules of other libraries."""
