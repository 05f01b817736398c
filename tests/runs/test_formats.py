"""The table as people paste it; names are hostile."""

import csv
import io
import json
import re
from typing import Any

import pytest

from runs.footnotes import footnotes
from runs.formats import FORMATS, as_csv, as_json, as_latex, as_markdown, percent
from runs.results import attack_cell, row, table
from runs.threat_model import PGD

HOSTILE = "a|b <b>&amp; 50% $x_1$ #{y} ~^ \\end\r\n| c"


def threat(*names: str) -> Any:
    return {
        "data": "CIFAR-100",
        "split": "test",
        "n": 10_000,
        "seed": 3,
        "precision": "fp32",
        "attacks": [
            {
                "name": name,
                "text": PGD(steps=20).describe(),
                "targets": None if name.endswith("untargeted") else "random",
            }
            for name in names
        ],
    }


def cell(successes: int, eps: float = 8 / 255) -> Any:
    return attack_cell(eps=eps, n=10_000, correct=7657, successes=successes, robust=2000)


def model(name: str, **attacks: Any) -> Any:
    named = {
        key.replace("_", "-"): value if isinstance(value, list) else [value]
        for key, value in attacks.items()
    }
    return row(
        model=name, run="RUN", checkpoint="best_clean", n=10_000, correct=7657, attacks=named
    )


@pytest.fixture
def data() -> Any:
    return table(
        threat("pgd-targeted", "pgd-untargeted"),
        [
            model("Baseline", pgd_targeted=cell(1000), pgd_untargeted=cell(7000)),
            model("Best robust", pgd_untargeted=cell(3000)),
        ],
    )


def hostile(name: str) -> Any:
    return table(threat("pgd-untargeted"), [model(name, pgd_untargeted=cell(7000))])


def pipe_cells(line: str) -> list[str]:
    """A line of a GitHub table as its cells (a backslash escapes what follows it)."""
    return re.findall(r"((?:\\.|[^|\\])*)\|", line.strip().removeprefix("|"))


def test_the_formats_are_those_that_the_command_offers() -> None:
    assert set(FORMATS) == {"markdown", "latex", "csv", "json"}


# What stands under every table


@pytest.mark.parametrize("name", ["markdown", "latex"])
def test_everything_needed_to_read_the_table_stands_under_it(data: Any, name: str) -> None:
    text = FORMATS[name](data)
    for symbol, written in ((r"$\varepsilon$", "ε"), (r"$\infty$", "∞"), ("\\%", "%")):
        text = text.replace(symbol, written)

    assert "CIFAR-100, test split, n = 10000, seed 3" in text
    assert "pgd-targeted: PGD-20, L∞, ε = 8/255, step 2/255, 1 restart, random start" in text
    assert "targets: random" in text
    assert "cross-entropy, untargeted" in text
    assert "of the images classified correctly when clean" in text
    assert "95 % Wilson intervals" in text


def test_every_figure_of_the_latex_table_stands_over_its_interval(data: Any) -> None:
    lines = as_latex(data).splitlines()
    for model in data["rows"]:
        at = next(n for n, line in enumerate(lines) if percent(model["accuracy"]) in line)
        low, high = model["accuracy_ci95"]
        assert f"& {{[}}{100 * low:.1f}, {100 * high:.1f}]" in lines[at + 1]
        for cell in model["attacks"].values():
            for one in cell:
                low, high = one["robust_ci95"]
                assert f"{{[}}{100 * low:.1f}, {100 * high:.1f}]" in lines[at + 1]


def test_footnotes_name_each_attack(data: Any) -> None:
    notes = footnotes(data)

    assert len(notes) == 4
    assert notes[1].startswith("pgd-targeted: ")
    assert notes[2].startswith("pgd-untargeted: ")


# Markdown


def test_markdown_is_a_github_table(data: Any) -> None:
    lines = as_markdown(data).splitlines()

    assert lines[0] == (
        "| model | accuracy % | Targeted success % | Targeted robust % "
        "| Untargeted success % | Untargeted robust % |"
    )
    assert lines[1] == "|---|---:|---:|---:|---:|---:|"
    assert [part.strip() for part in pipe_cells(lines[2])] == [
        "Baseline",
        "76.57 [75.7, 77.4]",
        "13.06 [12.3, 13.8]",
        "20.00 [19.2, 20.8]",
        "91.42 [90.8, 92.0]",
        "20.00 [19.2, 20.8]",
    ]
    assert [part.strip() for part in pipe_cells(lines[3])][2:5] == ["–", "–", "39.18 [38.1, 40.3]"]
    assert lines[4] == ""
    assert all(line.startswith("- ") for line in lines[5:])


@pytest.mark.parametrize("name", [HOSTILE, "|", "\\|", "\\", "a\\", "\n\n# Title", "<script>"])
def test_a_hostile_name_keeps_to_its_cell_in_markdown(name: str) -> None:
    lines = as_markdown(hostile(name)).splitlines()

    assert [len(pipe_cells(line)) for line in lines[:3]] == [4, 4, 4]
    assert lines[3] == ""
    assert "<" not in lines[2]


@pytest.mark.parametrize("name", ["a|b", "a\nb"])
def test_a_hostile_attack_keeps_to_its_column_in_markdown(name: str) -> None:
    lines = as_markdown(table(threat(name), [model("M") | {"attacks": {name: [cell(1)]}}]))

    assert [len(pipe_cells(line)) for line in lines.splitlines()[:3]] == [4, 4, 4]
    assert all(line.startswith("- ") for line in lines.splitlines()[4:])


@pytest.mark.parametrize("name", ["\x1b]0;title\x07", "a\x00b", "a\x9b2Jb", "a\x7fb"])
@pytest.mark.parametrize("name_of_format", ["markdown", "latex"])
def test_what_a_terminal_would_obey_does_not_pass_through(name: str, name_of_format: str) -> None:
    text = FORMATS[name_of_format](hostile(name))

    assert re.findall(r"[^\n\x20-\x7e\xa0-\uffff]", text) == []


def test_several_budgets_share_a_cell_with_their_names() -> None:
    cells = [cell(1000, 4 / 255), cell(7000, 8 / 255)]
    found = as_markdown(table(threat("pgd-untargeted"), [model("M", pgd_untargeted=cells)]))

    assert "4/255: 13.06 [12.3, 13.8]<br>8/255: 91.42 [90.8, 92.0]" in found


def test_a_rate_of_no_trials_is_a_dash() -> None:
    cell: Any = attack_cell(eps=0.1, n=10, correct=0, successes=0, robust=0)
    never = row(
        model="M",
        run="R",
        checkpoint="last",
        n=10,
        correct=0,
        attacks={"a": [cell]},
    )

    body = pipe_cells(as_markdown(table(threat("a"), [never])).splitlines()[2])

    assert [part.strip() for part in body] == ["M", "0.00 [0.0, 27.8]", "–", "0.00 [0.0, 27.8]"]
    assert "& -- & 0.00" in as_latex(table(threat("a"), [never]))


# LaTeX


def test_latex_is_a_booktabs_table(data: Any) -> None:
    text = as_latex(data)

    assert r"\begin{tabular}{lrrrrr}" in text
    assert r"Baseline & 76.57 & 13.06 & 20.00 & 91.42 & 20.00 \\" in text
    assert r"Best robust & 76.57 & -- & -- & 39.18 & 20.00 \\" in text
    assert r"\multicolumn{2}{c}{Targeted} & \multicolumn{2}{c}{Untargeted} \\" in text
    assert r"\cmidrule(lr){3-4} \cmidrule(lr){5-6}" in text
    for rule in ("toprule", "midrule", "bottomrule"):
        assert text.count(f"\\{rule}") == 1
    for environment in ("table", "tabular"):
        assert text.count(f"\\begin{{{environment}}}") == 1
        assert text.count(f"\\end{{{environment}}}") == 1


def test_latex_leaves_no_character_that_latex_would_obey(data: Any) -> None:
    text = as_latex(data)

    assert text.isascii()
    assert not re.search(r"(?<!\\)%", text.split("\n", 1)[1])  # the first line is a comment


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a & b", r"a \& b"),
        ("50%", r"50\%"),
        ("x_1", r"x\_1"),
        ("$5", r"\$5"),
        ("#1 {x}", r"\#1 \{x\}"),
        ("~^", r"\textasciitilde{}\textasciicircum{}"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("ε = 8", r"$\varepsilon$ = 8"),
        ("a\r\n\n b", "a b"),
    ],
)
def test_a_hostile_name_is_text_in_latex(name: str, written: str) -> None:
    assert f"    {written} & 76.57 & 91.42 & 20.00 \\\\\n" in as_latex(hostile(name))


def test_a_hostile_name_keeps_to_its_row_in_latex() -> None:
    calm, wild = as_latex(hostile("M")), as_latex(hostile(HOSTILE))

    assert wild.count("\n") == calm.count("\n")
    assert len(re.findall(r"(?<!\\)&", wild)) == len(re.findall(r"(?<!\\)&", calm))
    assert wild.count("\\end{") == calm.count("\\end{")


def test_a_name_in_brackets_is_no_argument_of_the_line_break_before_it() -> None:
    lines = as_latex(hostile("[v2] mine")).splitlines()

    assert not [line for line in lines if line.lstrip().startswith("[")]


# CSV


def test_csv_has_a_line_for_each_model_and_attack(data: Any) -> None:
    lines = list(csv.DictReader(io.StringIO(as_csv(data))))

    assert [(line["model"], line["attack"], line["success_k"]) for line in lines] == [
        ("Baseline", "pgd-targeted", "1000"),
        ("Baseline", "pgd-untargeted", "7000"),
        ("Best robust", "pgd-untargeted", "3000"),
    ]
    first, source = lines[0], data["rows"][0]["attacks"]["pgd-targeted"][0]
    assert float(first["eps"]) == 8 / 255
    assert (first["n"], first["correct_k"], first["success_n"]) == ("10000", "7657", "7657")
    assert float(first["accuracy"]) == 0.7657
    assert float(first["success_rate"]) == source["success_rate"]
    assert (float(first["success_low"]), float(first["success_high"])) == source["success_ci95"]
    assert (float(first["robust_low"]), float(first["robust_high"])) == source["robust_ci95"]
    assert float(first["robust_accuracy"]) == 0.2


def test_csv_has_a_line_for_each_budget() -> None:
    cells = [cell(1000, 4 / 255), cell(7000, 8 / 255)]
    text = as_csv(table(threat("pgd-untargeted"), [model("M", pgd_untargeted=cells)]))

    found = [(float(x["eps"]), x["success_k"]) for x in csv.DictReader(io.StringIO(text))]

    assert found == [(4 / 255, "1000"), (8 / 255, "7000")]


@pytest.mark.parametrize("name", [HOSTILE, 'a,"b"', "a\rb", "a\nb", " a ", ""])
def test_csv_brings_a_hostile_name_back(name: str) -> None:
    text = as_csv(hostile(name))

    [line] = csv.DictReader(io.StringIO(text, newline=""))

    assert line["model"] == name
    assert line["attack"] == "pgd-untargeted"


# JSON


def test_json_has_the_documented_keys(data: Any) -> None:
    found = json.loads(as_json(data))

    assert set(found) == {"threat_model", "rows"}
    first = found["rows"][0]
    assert {"model", "run", "checkpoint", "n", "accuracy", "accuracy_ci95", "attacks"} <= set(first)
    assert {
        "eps",
        "success_k",
        "success_n",
        "success_rate",
        "success_ci95",
        "robust_k",
        "robust_accuracy",
        "robust_ci95",
    } <= set(first["attacks"]["pgd-targeted"])
    assert (first["n"], first["accuracy"]) == (10_000, 0.7657)
    low, high = first["accuracy_ci95"]
    assert low < 0.7657 < high


def test_json_is_the_table_itself(data: Any) -> None:
    expected = json.loads(json.dumps(data))
    for model in expected["rows"]:  # in a file, an attack with one ε is an object
        model["attacks"] = {name: cell for name, [cell] in model["attacks"].items()}

    assert json.loads(as_json(data)) == expected
    assert json.loads(as_json(hostile(HOSTILE)))["rows"][0]["model"] == HOSTILE
