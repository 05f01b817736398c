"""Catastrophic overfitting of an adversarial training: a rule on its validation accuracies.

Knows nothing about models, runs and Lightning.
"""

from collections.abc import Sequence


def collapses(pgd: Sequence[float], fgsm: Sequence[float | None]) -> list[tuple[int, float]]:
    """The epochs with catastrophic overfitting (Wong et al. 2020).

    In such an epoch the PGD accuracy is below half of its best value so far, while the FGSM
    accuracy is at least that of the best epoch.

    Args:
        pgd: validation accuracy under PGD, in [0, 1], for each epoch.
        fgsm: likewise under FGSM; None where it was not measured.

    Returns:
        Pairs of the epoch, 0, 1, …, and the fall of the PGD accuracy, in [0, 1]. An epoch is left
        out if its FGSM accuracy, or that of the best epoch, is None.
    """
    collapsed = []
    for epoch, accuracy in enumerate(pgd):
        best = max(range(epoch + 1), key=pgd.__getitem__)
        now, then = fgsm[epoch], fgsm[best]
        if accuracy < pgd[best] / 2 and now is not None and then is not None and now >= then:
            collapsed.append((epoch, pgd[best] - accuracy))
    return collapsed
