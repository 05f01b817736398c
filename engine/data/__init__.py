"""Data sets as tensors: loading, splits, batches and augmentation.

Knows nothing about models and attacks.
"""
