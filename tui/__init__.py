"""What a person touches: the command line and the screen. Reads and launches runs; never
imports the engine.
"""
