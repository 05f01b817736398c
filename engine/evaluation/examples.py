"""Save some test images of an attack run with their adversarial images and predictions.

Knows nothing about attack routines and about how images are shown.
"""

from collections import Counter
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

    :func:`places_to_keep` chooses them.
    """
    test = models[0].test
    wrong = torch.stack([m.logits.argmax(dim=1) != test.labels for m in models]).sum(0)
    places = places_to_keep(test.labels.tolist(), wrong.tolist(), spec.examples)
    chosen = torch.tensor(places, dtype=torch.int64, device=test.labels.device)
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


def places_to_keep(labels: Sequence[int], wrong: Sequence[int], count: int) -> list[int]:
    """The places of ``count`` images: right when clean, and of as many classes as possible.

    Images that every model classifies correctly when clean come first, then those that fewer models
    misclassify. Among equals the classes take turns: an image of a class comes before the second
    image of any other.

    Args:
        labels: class of each image.
        wrong: for each image, how many models misclassify it when clean.
        count: how many images to choose; all of them where there are fewer.
    """
    chosen: list[int] = []
    of_class: Counter[int] = Counter()
    for misread in sorted(set(wrong)):
        turns: list[tuple[int, int]] = []
        for place, label in enumerate(labels):
            if wrong[place] == misread:
                turns.append((of_class[label], place))
                of_class[label] += 1
        chosen += [place for _, place in sorted(turns)]
        if len(chosen) >= count:
            break
    return chosen[:count]
