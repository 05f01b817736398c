"""Save some test images of an attack run with their adversarial images and predictions.

Knows nothing about attack routines and about how images are shown.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from engine.evaluation.model_under_attack import ModelUnderAttack
from runs.examples import FILE, save_examples
from runs.spec import AttackSpec


def keep_examples(
    folder: Path, models: Sequence[ModelUnderAttack], spec: AttackSpec, classes: Sequence[str]
) -> None:
    """Save ``spec.examples`` test images, the same for every model and attack, in a run's folder.

    They are the first images that every model classifies correctly when clean; where these are too
    few, the first images of the split.
    """
    test = models[0].test
    all_correct = torch.stack([m.logits.argmax(dim=1) == test.labels for m in models]).all(0)
    places = all_correct.nonzero().flatten()
    if len(places) < spec.examples:
        places = torch.arange(len(test), device=test.labels.device)
    chosen = places[: spec.examples]
    shape = (len(models), len(spec.attacks), len(chosen))
    adversarial = np.zeros((*shape, *test.images.shape[1:]), dtype=np.float32)
    predictions, targets = np.zeros(shape, np.int64), np.full(shape, -1)
    confidences = np.zeros(shape, np.float32)
    clean = [model.logits[chosen].softmax(dim=1).max(dim=1) for model in models]
    for m, model in enumerate(models):
        for a, attack in enumerate(spec.attacks):
            images, logits, image_targets = model.example(attack, chosen)
            likeliest = logits.softmax(dim=1).max(dim=1)
            adversarial[m, a] = images.numpy(force=True)
            predictions[m, a] = likeliest.indices.numpy(force=True)
            confidences[m, a] = likeliest.values.numpy(force=True)
            if image_targets is not None:
                targets[m, a] = image_targets.numpy(force=True)
    save_examples(
        folder / FILE,
        images=test.images[chosen].numpy(force=True),
        labels=test.labels[chosen].numpy(force=True),
        indices=test.indices[chosen].numpy(force=True),
        adversarial=adversarial,
        clean_predictions=np.stack([likeliest.indices.numpy(force=True) for likeliest in clean]),
        clean_confidences=np.stack([likeliest.values.numpy(force=True) for likeliest in clean]),
        predictions=predictions,
        confidences=confidences,
        targets=targets,
        models=np.array([model.label for model in models]),
        attacks=np.array([attack.name for attack in spec.attacks]),
        classes=np.array(classes),
    )
