"""A report as a whole: one HTML file that needs nothing else."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from runs.errors import UserError
from runs.jsonfiles import replacing
from runs.permissions import for_the_user
from runs.store import Store
from tui.report import pictures, results, setting
from tui.report.content import gather, label
from tui.report.html import Html, joined, tag


def report_html(store: Store, words: Sequence[str]) -> str:
    """The report of runs; the same text as long as the runs' files are the same.

    Raises:
        NotFoundError: a run doesn't exist.
        UserError: the runs were evaluated on different images.
    """
    content = gather(store, words)
    sections = [
        setting.question(content),
        results.result(content),
        results.eps_curves(content),
        results.curves(content),
        pictures.pictures(content),
        results.classes(content),
        results.sanity(content),
        results.threat_model(content),
        setting.recipe(content),
        setting.environment(content),
        setting.again(content),
    ]
    style = Html(files("tui.report").joinpath("report.css").read_text(encoding="utf-8"))
    title = ", ".join(label(run) for run in content.named)
    page = tag(
        "html",
        "\n",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("meta", name="generator", content=_MARK),
            tag("title", f"Report: {title}"),
            tag("style", style),
        ),
        "\n",
        tag("body", setting.head(content), "\n", tag("main", joined(sections, "\n"))),
        lang="en",
    )
    return f"<!DOCTYPE html>\n{page}\n"


_MARK = "advtui report"


def write_report(store: Store, words: Sequence[str], path: Path) -> None:
    """Write the report to a file; an older report there is replaced.

    Raises:
        NotFoundError: a run doesn't exist.
        UserError: the file is not a report, or can't be written.
    """
    if path.exists() and not _is_report(path):
        raise UserError(f"{path} is not a report of advtui: name another file with -o")
    text = report_html(store, words)
    with for_the_user(), replacing(path.resolve(), len(text)) as stream:
        stream.write(text.encode("utf-8", "replace"))


def _is_report(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return f'content="{_MARK}"'.encode() in stream.read(1000)
