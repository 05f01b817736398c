"""The commands of ``advtui`` and their output on a terminal, in a pipe and as JSON.

Knows nothing of Textual.
"""
