"""The sanity panel: measurements on an evaluation, their thresholds and verdicts.

It changes no figure of the table, and knows nothing about how a panel is shown.
"""
