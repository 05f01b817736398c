"""Evaluation: attacks on the test split, counts, stored predictions, examples and sanity checks.

Knows nothing about training loops.
"""
