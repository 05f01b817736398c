"""The parts of a screen that show one thing: curves, table, examples, text pages, preview.

A pane opens no other screen.
"""
