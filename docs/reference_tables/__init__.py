"""Reference tables of the manual, read from the code: one module for each subject.

Each function returns a part of a page as Markdown. Knows the code, not the pages.
"""
