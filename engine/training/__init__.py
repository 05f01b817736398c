"""Training: recipes, losses, the LightningModule and the Trainer.

Knows nothing of the test split.
"""
