"""When an adversarial training overfits catastrophically: a rule on figures. Knows no model."""

from collections.abc import Sequence


def collapses(pgd: Sequence[float], fgsm: Sequence[float | None]) -> list[tuple[int, float]]:
    """Catastrophic overfitting (Wong et al. 2020): epochs in which PGD accuracy has fallen below
    half of its best while FGSM's is at least what it was there.

    ``pgd`` and ``fgsm`` are validation accuracies in [0, 1], one an epoch; returned are the
    epochs, and by how much PGD accuracy has fallen. An epoch without an FGSM figure is no case.
    """
    found = []
    for epoch, left in enumerate(pgd):
        best = max(range(epoch + 1), key=pgd.__getitem__)
        now, then = fgsm[epoch], fgsm[best]
        if left < pgd[best] / 2 and now is not None and then is not None and now >= then:
            found.append((epoch, pgd[best] - left))
    return found
