"""What a worker writes about the time that a run worked and waited."""

import json

from advtui_process import Studied
from runs.store import Store


def test_a_result_has_the_working_and_the_waiting_time(studied: Studied) -> None:
    command, study, _, _ = studied
    listed = {run["id"]: run for run in json.loads(command("runs", "--json").stdout)}
    worked = {}
    for run in (study, *Store(command.home).children(study)):
        result = run.raw_result or {}
        worked[run.id] = result["working_seconds"]
        whole = result["working_seconds"] + result["waiting_seconds"]
        assert result["working_seconds"] > 0
        assert abs(whole - result["seconds"]) < 1
        assert listed[run.id]["working_seconds"] == result["working_seconds"]
        assert listed[run.id]["waiting_seconds"] == result["waiting_seconds"]
    own = worked.pop(study.id)
    assert abs(own - sum(worked.values())) < 2
