"""The engine: data, models, attacks, training and evaluation.

``python -P -m engine RUN_DIR`` carries out the spec in a run's folder. Knows no terminal.
"""
