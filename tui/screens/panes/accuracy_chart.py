"""The chart of a run's accuracies as lines, for a pane that shows a run in short."""

from collections.abc import Sequence

from tui.charts.plot import Plot, render_plot
from tui.charts.training_curves import CHARTS, best_epochs, series_of
from tui.render.lines import Line
from tui.render.palette import Palette
from tui.run_list.feed import RunFeed
from tui.screens.panes.curves import training_curves
from tui.shared_state import SharedState

ACCURACY = next(kind for kind in CHARTS if kind.name == "accuracy")


def accuracy_chart(
    state: SharedState, feed: RunFeed, width: int, height: int, palette: Palette
) -> list[Line]:
    """Clean and robust accuracy of the run's trainings, over epochs; over steps before the second.

    Empty for a run without trainings, or before their first value.
    """
    trainings = [
        training_curves(
            *(state, member.run),
            label=member.run.role or member.run.mode or "run",
            snapshot=member.snapshot,
        )
        for member in feed.trainings
    ]
    if not any(training.snapshot.epochs or training.snapshot.steps for training in trainings):
        return []
    by_step = max(len(training.snapshot.epochs) for training in trainings) < 2
    marks = best_epochs(trainings[0].snapshot, by_step=by_step) if len(trainings) == 1 else {}
    plot = Plot(
        title=ACCURACY.title,
        series=series_of(trainings, ACCURACY, by_step=by_step),
        x_label="step" if by_step else "epoch",
        in_percent=True,
        bounds=(0.0, 100.0),
        marks=marks,
    )
    lines: Sequence[Line] = render_plot(plot, width, height, palette)
    return list(lines)
