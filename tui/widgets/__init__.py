"""Widgets: lines of text, charts, the run list, form fields.

Knows no run store and no screen.
"""
