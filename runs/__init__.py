"""The contract between what a person touches and the engine.

A spec goes in, events come out, a result is left behind; each is a plain file in a run's
folder. This package knows no torch, no Lightning and no terminal.
"""
