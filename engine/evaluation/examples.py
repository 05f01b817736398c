"""Some adversarial pictures, kept for viewing."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from engine.evaluation.model_under_attack import ModelUnderAttack
from runs.spec import AttackSpec


def keep_examples(
    path: Path, attackers: Sequence[ModelUnderAttack], spec: AttackSpec, classes: Sequence[str]
) -> None:
    """Some test images, the same for every model and attack, with what each came to.

    Arrays (M models, A attacks, K images): ``images`` uint8 (K, 3, 32, 32); ``labels``,
    ``indices`` (K,); ``adversarial`` float32 (M, A, K, 3, 32, 32); ``clean_predictions``,
    ``clean_confidences`` (M, K); ``predictions``, ``confidences`` (M, A, K); ``targets``
    (M, A, K), −1 where untargeted; ``models``, ``attacks``, ``classes`` names.
    """
    test = attackers[0].test
    everywhere = torch.stack([a.logits.argmax(dim=1) == test.labels for a in attackers]).all(0)
    places = everywhere.nonzero().flatten()
    if len(places) < spec.examples:
        places = torch.arange(len(test), device=test.labels.device)
    chosen = places[: spec.examples]
    shape = (len(attackers), len(spec.attacks), len(chosen))
    adversarial = np.zeros((*shape, *test.images.shape[1:]), dtype=np.float32)
    predictions, targets = np.zeros(shape, np.int64), np.full(shape, -1)
    confidences = np.zeros(shape, np.float32)
    clean = [attacker.logits[chosen].softmax(dim=1).max(dim=1) for attacker in attackers]
    for m, attacker in enumerate(attackers):
        for a, attack in enumerate(spec.attacks):
            images, logits, aims = attacker.example(attack, chosen)
            best = logits.softmax(dim=1).max(dim=1)
            adversarial[m, a] = images.numpy(force=True)
            predictions[m, a] = best.indices.numpy(force=True)
            confidences[m, a] = best.values.numpy(force=True)
            if aims is not None:
                targets[m, a] = aims.numpy(force=True)
    with path.open("wb") as stream:
        np.savez_compressed(
            stream,
            images=test.images[chosen].numpy(force=True),
            labels=test.labels[chosen].numpy(force=True),
            indices=test.indices[chosen].numpy(force=True),
            adversarial=adversarial,
            clean_predictions=np.stack([c.indices.numpy(force=True) for c in clean]),
            clean_confidences=np.stack([c.values.numpy(force=True) for c in clean]),
            predictions=predictions,
            confidences=confidences,
            targets=targets,
            models=np.array([attacker.label for attacker in attackers]),
            attacks=np.array([attack.name for attack in spec.attacks]),
            classes=np.array(classes),
        )
