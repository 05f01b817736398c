"""Lightning callbacks: what a training reports, saves, averages and stops for.

Knows nothing about recipes and attacks.
"""
