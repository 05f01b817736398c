"""Networks: our ResNet-18, a user's own network, checkpoints on disk, folded BatchNorm.

Knows no data set, no attack and no Lightning.
"""
