"""The screens: run list, one run, comparison, new run, and the dialogs above them.

No screen imports the app; :mod:`tui.messages` asks it to act.
"""
