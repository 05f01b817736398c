"""The load of the machines at work over the last minutes, and its lines."""

from typing import Any

import pytest

from runs.event_types import SystemEvent
from tui.render.palette import TERMINAL
from tui.run_list.machine_load import FRESH_S, HISTORY_S, STEP_S, MachineLoads
from tui.screens.panes.machine import machine_lines

NOW = 1_000_000.0 // STEP_S * STEP_S + 7.0


def report(ago: float, cpu: Any = 50.0, used: Any = 4e9, gpus: Any = ()) -> SystemEvent:
    event: SystemEvent = {
        "v": 1,
        "t": NOW - ago,
        "kind": "system",
        "cpu_percent": cpu,
        "memory_used": used,
        "memory_total": 16_000_000_000,
        "gpus": list(gpus),
    }
    return event


def gpu(number: int, busy: float, used: float) -> dict[str, Any]:
    memory = {"memory_used": used, "memory_total": 80e9}
    return {"index": number, "name": "H100", "utilisation_percent": busy, **memory}


def loads(*reports: SystemEvent, host: str = "gpu-7") -> MachineLoads:
    found = MachineLoads()
    for event in reports:
        found.add(host, event)
    return found


def test_a_history_has_a_value_for_each_step_and_none_where_nothing_was_reported() -> None:
    (machine,) = loads(report(65, 10.0), report(20, 40.0), report(4, 80.0)).machines(NOW)
    assert len(machine.cpu.shares) == HISTORY_S // STEP_S
    assert machine.cpu.shares[-5:] == [0.1, None, None, 0.4, 0.8]
    assert machine.cpu.share == 0.8
    assert machine.memory.share == 0.25
    assert (machine.memory.used, machine.memory.total) == (4e9, 16e9)


def test_several_runs_on_one_host_give_the_mean_of_a_step() -> None:
    (machine,) = loads(report(3, 20.0), report(2, 60.0)).machines(NOW)
    assert machine.cpu.shares[-1] == pytest.approx(0.4)


def test_an_old_report_is_no_load_of_now() -> None:
    found = loads(report(FRESH_S + 1))
    assert found.machines(NOW) == []
    found.add("gpu-7", report(1))
    assert [machine.host for machine in found.machines(NOW)] == ["gpu-7"]


def test_hosts_stand_in_the_order_of_their_names() -> None:
    found = loads(report(1), host="b")
    found.add("a", report(1))
    assert [machine.host for machine in found.machines(NOW)] == ["a", "b"]


def test_values_that_no_worker_reports_are_unknown() -> None:
    (machine,) = loads(report(1, "full", float("nan"), [{"index": "x"}, 3])).machines(NOW)
    assert machine.cpu.share is None
    assert machine.memory.share is None
    assert machine.gpus == []
    lines = [line.plain.split() for line in machine_lines([machine], 50, TERMINAL)]
    assert [(line[0], line[-1]) for line in lines] == [("CPU", "–"), ("memory", "–")]


@pytest.mark.parametrize("width", [40, 48, 76])
@pytest.mark.parametrize("gpus", [1, 2, 8])
def test_lines_fit_their_width_and_name_every_resource(width: int, gpus: int) -> None:
    cards = [gpu(number, 97.0, 75e9) for number in range(gpus)]
    reports = [report(10.0 * n, 10.0 * n, gpus=cards) for n in range(9, -1, -1)]
    lines = list(machine_lines(loads(*reports).machines(NOW), width, TERMINAL))
    assert all(line.cell_len <= width for line in lines)
    assert [line.plain.split()[0] for line in lines[:2]] == ["CPU", "memory"]
    cards_at = [line for line in lines if line.plain.startswith("GPU")]
    assert len(cards_at) == gpus
    assert len(lines) == 2 + (gpus if gpus > 2 else 2 * gpus), "two lines for each of few GPUs"
    text = "\n".join(line.plain for line in lines)
    assert text.count("97 %") == text.count("94 %") == gpus
    warned = [span for line in lines for span in line.spans if span.style == TERMINAL.warn]
    assert len(warned) == gpus, "a busy GPU is well used, a full memory is not"
