"""Adversarial attacks on a batch of images: PGD, APGD and AutoAttack.

Knows nothing about data sets, runs and Lightning.
"""
