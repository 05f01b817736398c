"""Choose some test images of an attack run and keep them with what each attack made of them."""

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
    """Keep the same test images for every model and attack in a run's folder.

    They are images that every model classifies correctly, where there are enough of these.
    """
    test = models[0].test
    right = torch.stack([m.logits.argmax(dim=1) == test.labels for m in models]).all(0)
    places = right.nonzero().flatten()
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
            images, logits, aims = model.example(attack, chosen)
            best = logits.softmax(dim=1).max(dim=1)
            adversarial[m, a] = images.numpy(force=True)
            predictions[m, a] = best.indices.numpy(force=True)
            confidences[m, a] = best.values.numpy(force=True)
            if aims is not None:
                targets[m, a] = aims.numpy(force=True)
    save_examples(
        folder / FILE,
        images=test.images[chosen].numpy(force=True),
        labels=test.labels[chosen].numpy(force=True),
        indices=test.indices[chosen].numpy(force=True),
        adversarial=adversarial,
        clean_predictions=np.stack([best.indices.numpy(force=True) for best in clean]),
        clean_confidences=np.stack([best.values.numpy(force=True) for best in clean]),
        predictions=predictions,
        confidences=confidences,
        targets=targets,
        models=np.array([model.label for model in models]),
        attacks=np.array([attack.name for attack in spec.attacks]),
        classes=np.array(classes),
    )
