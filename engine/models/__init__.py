"""Networks: ResNet-18, a user's own network, checkpoint files, folded BatchNorm.

Knows nothing about data sets, attacks and Lightning.
"""
