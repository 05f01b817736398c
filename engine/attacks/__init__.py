"""Adversarial attacks on a batch of images: PGD, APGD and AutoAttack.

Knows no data set, no run and no Lightning.
"""
