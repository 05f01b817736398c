"""Data sets as tensors: loading, splits, batches and augmentation.

Knows no model and no attack.
"""
