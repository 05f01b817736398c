"""Evaluation: attacks on the test split, counts, kept outcomes and examples.

Knows no training loop.
"""
