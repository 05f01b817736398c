"""The list of runs as data: rows, filter, order, and their updates from the home.

Knows no widget.
"""
