"""What a table says of the networks that were trained."""

from runs.footnotes import network_notes
from runs.results import row, table


def notes(*networks: tuple[str, str | None]) -> list[str]:
    rows = [
        row(model=model, run="r", checkpoint="last", n=1, correct=1, attacks={}, network=network)
        for model, network in networks
    ]
    return network_notes(table({"data": "digits", "n": 1, "attacks": []}, rows))


def test_models_of_one_network_share_a_line() -> None:
    assert notes(("Baseline", "WRN-28-10"), ("Best clean", "nets:make"), ("Best", "WRN-28-10")) == [
        "Baseline, Best: WRN-28-10",
        "Best clean: nets:make",
    ]


def test_the_full_resnet18_needs_no_line() -> None:
    assert notes(("Baseline", "ResNet-18"), ("Old", None)) == []
    assert notes(("Baseline", "ResNet-18 of width 16")) == ["Baseline: ResNet-18 of width 16"]
