"""The sanity panel: probes of an evaluation, their thresholds and verdicts.

Changes no figure of the table.
"""
