"""Text, tables and pictures for a terminal, made from plain data.

Knows no run store and no app; only ``themes`` knows Textual.
"""
