"""Reports: valid HTML that needs nothing else, whatever runs they are about."""

import json
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import Element

import html5lib
import pytest

from fixed_home import add_eps_curve, build
from runs.errors import UserError
from runs.store import Store
from tui.report.charts import ticks
from tui.report.document import report_html, write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
LARGEST = 3_000_000
"""Bytes of a report that goes into a mail."""


@pytest.fixture(scope="module")
def ids(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The runs of a home by what they are, and the home itself."""
    folder: Path = tmp_path_factory.mktemp("report")
    ids = build(folder)
    return {**ids, "eps": add_eps_curve(folder, ids), "home": str(folder)}


@pytest.fixture(scope="module")
def store(ids: dict[str, str]) -> Store:
    return Store(Path(ids["home"]))


def parsed(text: str) -> Element:
    """The document; fails where HTML's own reader finds an error."""
    document: Element = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
    return document


def headings(document: Element) -> list[str]:
    return [element.tag for element in document.iter() if re.fullmatch("h[1-6]", str(element.tag))]


def texts(document: Element, name: str) -> list[str]:
    return ["".join(element.itertext()) for element in document.iter(name)]


def test_every_run_has_a_report(store: Store) -> None:
    """Unfinished, failed and foreign runs too: valid, without an empty section."""
    for run in store.runs():
        document = parsed(report_html(store, [run.id]))
        levels = [int(name[1]) for name in headings(document)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(deeper - above <= 1 for above, deeper in pairwise(levels))
        for section in document.iter("section"):
            assert len("".join(section.itertext())) > len("".join(section[0].itertext())), run.id


def test_a_study_has_every_part(store: Store, ids: dict[str, str]) -> None:
    text = report_html(store, [ids["study"]])
    document = parsed(text)
    sections = texts(document, "h2")
    for name in ("Question", "Result", "Training"):
        assert name in sections
    rows = [texts(row, "th") for row in document.iter("tr")]
    models = [row[0] for row in rows if len(row) == 1][:3]
    assert models == ["Baseline", "Best clean", "Best robust"]
    assert "advtui study" in text
    assert len(text.encode()) < LARGEST


def test_what_the_table_tells_of_trainings_stands_in_the_report(
    store: Store, ids: dict[str, str], tmp_path: Path
) -> None:
    """Generated images too: a reader of the report must not take them for none."""
    copied = Store(tmp_path)
    shutil.copytree(store.folder, copied.folder)
    for name in ("study", "attack"):
        file = copied.folder / ids[name] / "result.json"
        result = json.loads(file.read_text())
        for row in result["rows"]:
            row["generated"] = "1,000 generated images (made.npz, 70 % of each batch)"
        file.write_text(json.dumps(result))
    notes = texts(parsed(report_html(copied, [ids["study"]])), "li")
    assert any("trained with 1,000 generated images" in note for note in notes)


def test_several_eps_have_a_chart(store: Store, ids: dict[str, str]) -> None:
    assert "ε-curve" in texts(parsed(report_html(store, [ids["eps"]])), "h2")


def test_it_needs_no_other_file(store: Store, ids: dict[str, str]) -> None:
    document = parsed(report_html(store, [ids["study"]]))
    assert not list(document.iter("script"))
    assert not list(document.iter("link"))
    for element in document.iter():
        for name in ("src", "href"):
            assert element.get(name, "data:").startswith(("data:", "#"))
    style = " ".join(texts(document, "style"))
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style
    named = [element.get("id") for element in document.iter() if element.get("id")]
    assert len(named) == len(set(named))
    assert all(image.get("alt") for image in document.iter("img"))
    for header in document.iter("th"):
        assert header.get("scope") in ("col", "row")


def test_names_are_text(store: Store, ids: dict[str, str], tmp_path: Path) -> None:
    copied = Store(tmp_path)
    shutil.copytree(store.folder, copied.folder)
    hostile = "<script>alert(1)</script>\u202e\x1b[31m\"'&"
    copied.find(ids["study"]).set_meta(note=hostile, tags=["<b>"])
    spec = copied.find(ids["study"]).path / "spec.json"
    spec.write_text(json.dumps({**json.loads(spec.read_text()), "name": "<script>x</script>"}))
    document = parsed(report_html(Store(tmp_path), [ids["study"]]))
    assert not list(document.iter("script"))
    assert "<script>x</script>" in texts(document, "h1")[0]


def test_equal_runs_give_equal_reports(store: Store, ids: dict[str, str]) -> None:
    assert report_html(store, [ids["study"]]) == report_html(store, [ids["study"]])


def test_only_a_report_is_replaced(store: Store, ids: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    for _ in range(2):
        write_report(store, [ids["study"]], path)
    other = tmp_path / "thesis.html"
    other.write_text("<p>mine")
    with pytest.raises(UserError, match="is not a report of advtui"):
        write_report(store, [ids["study"]], other)
    assert other.read_text() == "<p>mine"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 100, [0, 20, 40, 60, 80, 100]), (1, 9, [2, 4, 6, 8]), (3, 3, [3, 4])],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert [tick for tick in ticks(low, high, 5) if tick == int(tick)] == expected


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium")
@pytest.mark.parametrize("width", [500, 1440])
def test_the_page_does_not_scroll_sideways(
    store: Store, ids: dict[str, str], tmp_path: Path, width: int
) -> None:
    """500 pixels is the least width of Chromium's window."""
    page = tmp_path / "page.html"
    measure = "<script>document.title = document.documentElement.scrollWidth</script></body>"
    page.write_text(report_html(store, [ids["study"]]).replace("</body>", measure))
    done = subprocess.run(
        [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900",
         f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    found = re.search(r"<title>(\d+)</title>", done.stdout)
    assert found is not None
    assert int(found[1]) <= width
