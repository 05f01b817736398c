"""What the keys do with runs: stop, resume, tag, note, delete, export, each with its question.

Every function takes the screen, a :class:`~tui.screens.actions.targets.RunTargets`, and acts on its
targets. Where these are several, one question names them and one notice tells what was done.
"""
