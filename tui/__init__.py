"""What a person touches: the ``advtui`` command and the screen.

Reads runs and starts workers. Never imports the engine or torch.
"""
