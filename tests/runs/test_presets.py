"""Presets: each a whole study, valid as it stands."""

import pytest

from runs.datasets import DATASETS
from runs.errors import UserError
from runs.presets import NAMES, describe, preset
from runs.spec import StudySpec, TrainSpec, parse_spec


def test_the_presets_people_were_promised_exist() -> None:
    assert {"demo", "cpu", "poster"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
class TestEachPreset:
    def test_is_a_valid_study(self, name: str) -> None:
        study = preset(name)

        assert isinstance(study, StudySpec)
        assert parse_spec(study.model_dump(mode="json")) == study

    def test_has_one_line_about_itself(self, name: str) -> None:
        line = describe(name)

        assert line.endswith(".")
        assert "\n" not in line

    def test_trains_on_fewer_images_than_there_are(self, name: str) -> None:
        study = preset(name)
        data = DATASETS[study.data]

        for role in ("baseline", "robust"):
            child = study.child(role)
            assert isinstance(child, TrainSpec)
            assert child.val_per_class * data.classes + child.batch_size <= data.train_images

    def test_validates_and_evaluates_under_one_threat_model(self, name: str) -> None:
        study = preset(name)
        threats = {
            (pgd.norm, pgd.eps)
            for pgd in (
                study.robust.attack,
                study.robust.validation,
                study.baseline.validation,
                *(attack.pgd for attack in study.attack.attacks),
            )
        }

        assert len(threats) == 1

    def test_has_the_tables_two_columns(self, name: str) -> None:
        attacks = preset(name).attack.attacks

        assert [a.name for a in attacks] == ["pgd-targeted", "pgd-untargeted"]
        assert [a.targets for a in attacks] == ["random", None]


def test_the_poster_is_the_full_network_under_the_default_threat_model() -> None:
    study = preset("poster")

    assert study.data == "cifar100"
    assert study.robust.width == study.baseline.width == 64
    assert study.robust.attack.describe().startswith("PGD-10, L∞, ε = 8/255, step 2/255")
    assert study.attack.attacks[1].pgd.describe().startswith("PGD-20, L∞, ε = 8/255, step 2/255")


def test_the_demo_needs_no_download() -> None:
    assert DATASETS[preset("demo").data].folder is None


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(UserError) as error:
        preset("postr")

    assert "'postr'" in str(error.value)
    for name in NAMES:
        assert name in str(error.value)
