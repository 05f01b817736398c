"""The engine: data, model, PGD, training, evaluation. ``python -P -m engine RUN_DIR`` carries out
the spec in a run's folder. It knows no terminal.
"""
