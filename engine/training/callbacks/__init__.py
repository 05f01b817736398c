"""Lightning callbacks: what a training reports, keeps, averages and stops for.

Knows no recipe and no attack.
"""
