"""What a training does beside learning: memory that runs out, compiling, profile, speed."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from engine import classifier
from engine.awp import Loss
from engine.batches import PicturesOnDevice
from engine.checkpoints import moving_average, read_checkpoint
from engine.classifier import Classifier
from engine.compiling import CompiledAscend, Passes
from engine.data import Pictures
from engine.flops import costs, passes
from engine.folding import Folded
from engine.memory import room_for
from engine.pgd import pgd
from engine.randomness import generator
from engine.recipes import RECIPES, Setting
from engine.resnet import resnet18
from engine.throughput import Stopwatch
from engine.training import train
from runs.errors import UserError
from runs.events import EventReader, EventWriter
from runs.overrides import override
from runs.presets import preset
from runs.spec import PGD, ROBUST_RECIPES, TrainSpec
from runs.store import Run, Store
from support import TINY, Command, NeverStop


def tiny(**fields: Any) -> TrainSpec:
    demo = preset("demo").child("robust")
    assert isinstance(demo, TrainSpec)
    small = {"width": 4, "epochs": 2, "train_limit": 128, "batch_size": 32, "val_per_class": 2}
    if fields.get("recipe") not in ("standard", "fast"):  # which refuse to hear of steps
        small["steps"] = 1
    return override(demo, {**small, "share": True, **fields})


def carried_out(home: Path, spec: TrainSpec, device: str = "cpu") -> tuple[Run, dict[str, Any]]:
    run = Store(home).create(spec)
    events = EventWriter(run.events_path)
    with torch.random.fork_rng(devices=[]):
        result = train(run, spec, torch.device(device), events, NeverStop())  # type: ignore[arg-type]
    events.close()
    return run, result


def warnings(run: Run, level: str = "warning") -> list[str]:
    events = EventReader(run.events_path).new()
    return [e["message"] for e in events if e["kind"] == "log" and e["level"] == level]


class SmallMemory(nn.Module):
    """A network on a device that has room for so many images, its BatchNorm aside."""

    def __init__(self, network: nn.Module, room: int) -> None:
        super().__init__()
        self.network = network
        self.room = room

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        logits: Tensor = self.network(images)
        return logits


def trained_with_room(
    room: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Run, dict[str, Any], dict[str, Tensor]]:
    def limited(classes: int, *_: object) -> nn.Module:
        torch.manual_seed(0)
        return SmallMemory(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, classes)), room)

    monkeypatch.setattr(classifier, "resnet18", limited)
    spec = tiny(lr=0.01, clip_norm=1.0, **{"attack.random_start": False})
    run, result = carried_out(home, spec)
    return run, result, read_checkpoint(run.checkpoint("last"))["current_model_state"]


def test_memory_that_runs_out_halves_the_batch_until_it_fits_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, result, weights = trained_with_room(8, tmp_path / "small", monkeypatch)
    assert result["steps"] == 2 * 4  # a step is still one of 32 images
    training = [w for w in warnings(run) if "gradients" in w]
    assert ["of 32 images goes in 2 parts" in w for w in training] == [True, False]
    assert "of 32 images goes in 4 parts" in training[1]
    assert [w for w in warnings(run) if "the validation" in w] == [
        f"out of memory: the validation looks at its batches in {n} parts" for n in (2, 4)
    ]
    # Accumulated, the gradients are those of the whole batch.
    roomy, as_whole, expected = trained_with_room(1000, tmp_path / "large", monkeypatch)
    assert warnings(roomy) == []
    for name, weight in weights.items():
        torch.testing.assert_close(weight, expected[name])
    for name in ("train_loss", "val_loss", "val_robust_accuracy"):
        assert result["last"][name] == pytest.approx(as_whole["last"][name], rel=1e-4)


def test_a_step_that_ran_out_of_memory_leaves_no_trace_in_the_statistics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[Tensor]] = []
    usual = RECIPES["pgd-at"]

    def failing(model: nn.Module, images: Tensor, labels: Tensor, setting: Setting) -> Loss:
        seen.append([buffer.clone() for buffer in model.buffers()])
        found = usual(model, images, labels, setting)
        if len(seen) == 2:  # the second part of a batch that has been halved already fails too
            seen.append([buffer.clone() for buffer in model.buffers()])
        if len(seen) in (1, 3):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return found

    monkeypatch.setitem(RECIPES, "pgd-at", failing)
    run, _ = carried_out(tmp_path, tiny(epochs=1))
    assert len([w for w in warnings(run) if "gradients" in w]) == 2
    first, second, moved, again = seen[:4]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, moved, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_less_memory_than_two_images_need_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="even with 2 images"):
        trained_with_room(1, tmp_path, monkeypatch)


def test_an_attack_run_takes_smaller_batches_where_memory_is_short() -> None:
    torch.manual_seed(0)
    network = SmallMemory(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10)), 10)
    found, said = room_for(network, torch.rand(64, 3, 32, 32))
    assert found == 8
    assert said == "out of memory: batches of 8 images instead of 64"
    assert room_for(network, torch.rand(10, 3, 32, 32)) == (10, None)


@pytest.mark.slow
def test_where_nothing_can_be_compiled_it_goes_on_and_says_so(
    advtui: Command, tmp_path: Path
) -> None:
    env = {**advtui.env, "CXX": "/no/compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "c")}
    advtui.env = env
    done = advtui("train", "--mode", "baseline", *TINY, "--epochs", "1", "--compile", "on")
    assert done.returncode == 0, done.stderr
    assert "not compiled, and so slower: " in done.stderr
    (run,) = Store(advtui.home).runs()
    assert run.result["last"]["val_accuracy"] > 0


def test_so_few_steps_that_the_learning_rate_has_no_way_up(tmp_path: Path) -> None:
    _, result = carried_out(tmp_path, tiny(epochs=1, width=1, warmup=0.25))
    assert result["steps"] == 4


@pytest.fixture
def compiler() -> None:
    if not any(map(shutil.which, ("g++", "clang++", "c++"))):
        pytest.skip("there is no C++ compiler here")


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    "fields",
    [{"recipe": "trades", "awp_gamma": 0.005}, {"recipe": "mart"}, {"recipe": "fast"}],
    ids=["trades with awp", "mart", "fast"],
)
def test_compiled_passes_give_a_recipe_the_same_losses(fields: dict[str, Any]) -> None:
    """In float64: in float32 signs of small gradients turn, and four steps on losses differ by 2 %
    whether one compiles or changes the first weights by one part in ten millions."""
    spec = TrainSpec.model_validate({"data": "digits", "attack": {"steps": 3}, **fields})
    cpu = torch.device("cpu")
    losses = []
    for compiling in (False, True):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            net = resnet18(10, 2, [0.5] * 3, [0.25] * 3).double().train()
        folded = Folded(net)
        passes = Passes(net, folded.network)
        if compiling:
            passes = passes.compiled(cpu)
        model = net if spec.awp_gamma else passes.trained
        optimiser = torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9)
        data = torch.Generator().manual_seed(1)
        for step in range(4):
            images = torch.rand(64, 3, 32, 32, generator=data, dtype=torch.float64)
            labels = torch.randint(10, (64,), generator=data)
            folded.refresh()
            noise = generator(0, "attack", step, device=cpu)
            setting = Setting(spec, 10, passes.attacked, noise, ascend=passes.ascend, at=passes.at)
            optimiser.zero_grad()
            loss, _ = RECIPES[spec.recipe](model, images, labels, setting)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(loss.item())
    assert losses[4:] == pytest.approx(losses[:4], rel=1e-9)
    assert len(set(losses[:4])) == 4


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    "fields",
    [{}, {"norm": "l2", "momentum": 1.0}, {"loss": "margin", "step_schedule": "cosine"}],
    ids=["sign", "l2 with momentum", "margin, cosine"],
)
def test_a_compiled_step_goes_where_the_equation_leads(fields: dict[str, Any]) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Folded(resnet18(10, 2, [0.5] * 3, [0.25] * 3).double()).network
    ascend = CompiledAscend(network)
    images = torch.rand(16, 3, 32, 32, dtype=torch.float64, generator=generator(1))
    labels, targets = torch.arange(16) % 10, torch.arange(16) % 9 + 1

    def attacked(how: CompiledAscend | None, eps: float, aims: Tensor | None) -> Tensor:
        spec = PGD.model_validate({"eps": eps, "step_size": eps / 3, "steps": 4, **fields})
        noise = generator(2)
        return pgd(
            network, images, labels, spec, targets=aims, generator=noise, keep="last", ascend=how
        )

    attacked(ascend, 0.1, None), attacked(ascend, 0.1, targets)
    with torch.compiler.set_stance("fail_on_recompile"):  # whatever ε and α are
        for eps, aims in ((0.1, None), (0.04, None), (0.04, targets)):
            found, expected = attacked(ascend, eps, aims), attacked(None, eps, aims)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
            assert (found - images).abs().max() > eps / 20


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
def test_compiled_it_learns_the_same(tmp_path: Path) -> None:
    runs = [
        carried_out(tmp_path / how, tiny(compile=how, epochs=1, width=2)) for how in ("off", "on")
    ]
    assert warnings(runs[1][0]) == []
    told = [warnings(run, "info") for run, _ in runs]
    assert told == [[], ["compiling: the first steps take a minute or so"]]
    plain, compiled = (result for _, result in runs)
    for name in ("train_loss", "val_loss"):
        assert compiled["last"][name] == pytest.approx(plain["last"][name], rel=0.02)
    # The rates are those of the steps after compiling.
    assert plain["warm_up_seconds"] == 0 < compiled["warm_up_seconds"]
    all_steps = compiled["images"] / compiled["train_seconds"]
    assert compiled["images_per_second"] > 2 * all_steps


@pytest.mark.gpu
@pytest.mark.parametrize("recipe", ["standard", *ROBUST_RECIPES])
def test_on_a_gpu_it_learns_the_same_compiled_with_graphs_and_fused(
    recipe: str, tmp_path: Path
) -> None:
    mode = "baseline" if recipe == "standard" else "robust"
    fields: dict[str, Any] = {"mode": mode, "recipe": recipe, "epochs": 1, "profile": True}
    found = []
    for how, precision in (("off", "fp32"), ("auto", "fp32"), ("auto", "auto")):
        spec = tiny(compile=how, precision=precision, **fields)
        run, result = carried_out(tmp_path / f"{how}-{precision}", spec, "cuda")
        assert warnings(run) == []  # compiled, and every graph recorded
        assert read_checkpoint(run.checkpoint("best_clean"))["global_step"] == 4
        found.append(result)
    plain, compiled, bf16 = found
    assert [one["precision"] for one in found] == ["fp32", "fp32", "bf16"]
    for name in ("train_loss", "val_loss"):
        assert compiled["last"][name] == pytest.approx(plain["last"][name], rel=0.02)
        assert bf16["last"][name] == pytest.approx(plain["last"][name], rel=0.1)


def test_a_profile_says_where_the_time_goes(tmp_path: Path) -> None:
    run, _ = carried_out(tmp_path, tiny(profile=True, batch_size=8, epochs=1))
    told = (run.path / "profile" / "time.txt").read_text()
    head, *lines = told.splitlines()
    assert head.startswith("5 training steps on cpu: ")
    shares = {line.split("  ")[0]: float(line.split()[-1].rstrip("%")) for line in lines[1:5]}
    assert list(shares) == ["augmentation", "attack", "optimiser", "descent and rest"]
    assert sum(shares.values()) == pytest.approx(100, abs=0.3)
    assert all(share > 0 for share in shares.values())
    assert "convolution" in told
    trace = json.loads((run.path / "profile" / "trace.json").read_text())
    assert trace["traceEvents"]


def test_a_result_tells_images_flops_and_what_share_of_the_hardware_that_is(tmp_path: Path) -> None:
    spec = tiny()
    _, result = carried_out(tmp_path, spec)
    assert result["images"] == 2 * 4 * 32
    assert result["flops"] == result["images"] * costs(10, 4).of(passes(spec))
    assert 0 < result["train_seconds"] < result["fit_seconds"]
    assert 0 < result["seconds_per_epoch"] < result["fit_seconds"]
    rate = result["images"] / result["train_seconds"]
    assert result["images_per_second"] == pytest.approx(rate, rel=0.01)
    assert 0 < result["flop_utilisation"] < 1
    best = result["matmul_flops_per_second"]
    assert result["flops_per_second"] / best == pytest.approx(result["flop_utilisation"], rel=0.01)


def test_rates_are_taken_from_steps_that_compile_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("engine.throughput.time.monotonic", lambda: now)
    trainer = cast(Any, SimpleNamespace(is_last_batch=False))
    module = cast(Any, SimpleNamespace(settled=False, device=torch.device("cpu")))
    watch = Stopwatch()
    watch.on_train_start(trainer, module)
    watch.on_train_epoch_start(trainer, module)
    for seconds, settled, rate in ((30, False, None), (9, True, None), (2, True, 0.5)):
        now += seconds
        module.settled = settled  # from the next step on
        watch.on_train_batch_end(trainer, module)
        assert watch.rate == rate
    now += 1  # validation
    assert watch.epoch_s == (42.0, 39.0)
    assert (watch.steps, watch.steps_s, watch.warm_up_s) == (1, 2.0, 39.0)
    watch.on_train_epoch_end(trainer, module)
    resumed = Stopwatch()
    resumed.load_state_dict(watch.state_dict())
    resumed.on_train_epoch_start(trainer, module)
    assert (resumed.rate, resumed.epoch_s, resumed.epochs_s) == (None, (0.0, 0.0), [42.0])
    now += 4
    resumed.on_train_batch_end(trainer, module)
    assert (resumed.rate, resumed.steps, resumed.steps_s) == (0.25, 2, 6.0)


def test_how_long_a_training_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps at the rate so far, validations as the last one, or else by what they compute."""
    now = 100.0
    monkeypatch.setattr("engine.throughput.time.monotonic", lambda: now)
    of = {"max_epochs": 3, "num_training_batches": 4, "validating": False, "is_last_batch": False}
    trainer = cast(Any, SimpleNamespace(**of, global_step=0, current_epoch=0))
    module = cast(Any, SimpleNamespace(settled=True, device=torch.device("cpu")))
    watch = Stopwatch(validation_steps=0.5)
    watch.on_train_start(trainer, module)
    watch.on_train_epoch_start(trainer, module)
    assert watch.left_s(trainer) is None
    for step in (1, 2, 3, 4):
        now += 2
        trainer.global_step = step
        watch.on_train_batch_end(trainer, module)
        assert watch.left_s(trainer) == 2 * (12 - step) + 3 * 0.5 * 2
    trainer.validating = True
    now += 0.75
    assert watch.left_s(trainer) == 2 * 8 + 3 - 0.75
    now += 2.25  # it takes 3 seconds, and the checkpoints one
    assert watch.left_s(trainer) == 2 * 8 + 3 - 1
    watch.on_train_epoch_end(trainer, module)
    now += 1
    trainer.validating, trainer.current_epoch = False, 1
    watch.on_train_epoch_start(trainer, module)
    assert watch.left_s(trainer) == 2 * 8 + 2 * 4
    resumed = Stopwatch(validation_steps=0.5)
    resumed.load_state_dict(watch.state_dict())
    resumed.on_train_start(trainer, module)
    assert resumed.left_s(trainer) == 2 * 8 + 2 * 4


def test_a_gpu_is_waited_for_seldom_and_no_step_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    now, waited = 100.0, []
    monkeypatch.setattr("engine.throughput.time.monotonic", lambda: now)
    monkeypatch.setattr("engine.throughput._finish", lambda _: waited.append(now))
    trainer = cast(Any, SimpleNamespace(is_last_batch=False))
    module = cast(Any, SimpleNamespace(settled=False, device=torch.device("cuda")))
    watch = Stopwatch()
    watch.on_train_start(trainer, module)
    for _ in range(3):  # compiles
        now += 0.5
        watch.on_train_batch_end(trainer, module)
    module.settled = True
    now += 0.5
    watch.on_train_batch_end(trainer, module)
    assert (len(waited), watch.steps, watch.warm_up_s) == (4, 0, 2.0)
    for step in range(1, 19):
        now += 0.125
        trainer.is_last_batch = step == 18
        watch.on_train_batch_end(trainer, module)
    assert len(waited) == 6  # after two seconds, and at the end
    assert (watch.steps, watch.steps_s) == (18, 2.25)


def test_progress_tells_how_long_a_training_has_left(tmp_path: Path) -> None:
    run, _ = carried_out(tmp_path, tiny(epochs=2, train_limit=64))
    events = [e for e in EventReader(run.events_path).new() if e["kind"] == "progress"]
    assert {e["task"] for e in events} == {"train", "validate"}
    assert all(e["eta_s"] > 0 for e in events[:-1])
    assert events[0]["eta_s"] > events[-1]["eta_s"] >= 0


@contextmanager
def nothing_waits_on(device: torch.device) -> Iterator[None]:
    """Fails where Python asks a device for a value; tensors on ``meta`` have none to give."""
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")


devices = pytest.mark.parametrize("name", ["meta", pytest.param("cuda", marks=pytest.mark.gpu)])
"""``meta``: tensors without values, on which an operation with one of the CPU fails as on a GPU."""


@devices
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize(("gamma", "craft_mode"), [(0.0, "train"), (0.005, "eval")])
def test_no_recipe_waits_for_its_device(
    recipe: str, gamma: float, craft_mode: str, name: str
) -> None:
    device = torch.device(name)
    attack = {"steps": 1, "craft_mode": craft_mode}
    spec = TrainSpec.model_validate(
        {"data": "digits", "recipe": recipe, "attack": attack, "awp_gamma": gamma}
        if recipe != "standard"
        else {"data": "digits", "mode": "baseline", "recipe": recipe, "awp_gamma": gamma}
    )
    model = resnet18(10, 2, [0.5] * 3, [0.25] * 3).to(device)
    folded = Folded(model)
    images = torch.rand(32, 3, 32, 32, device=device)
    labels = torch.arange(32, device=device) % 10

    def step() -> None:
        folded.refresh()
        noise = generator(0, "attack", device="cpu" if name == "meta" else device)
        setting = Setting(spec, 10, folded.network, noise)
        loss, _ = RECIPES[recipe](model, images, labels, setting)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)

    if device.type == "cuda":
        step()  # chooses kernels
    with nothing_waits_on(device):
        step()


@devices
@pytest.mark.parametrize("augmentation", ["basic", "cutout"])
def test_no_step_waits_for_its_device(augmentation: str, name: str) -> None:
    device = torch.device(name)
    spec = tiny(augmentation=augmentation)
    images = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8, device=device)
    labels = torch.arange(64, device=device) % 10
    pictures = Pictures(images, labels, torch.arange(64, device=device))
    data = PicturesOnDevice(pictures, pictures, spec, flips=True)
    module = Classifier(spec, 10, [0.5] * 3, [0.25] * 3, steps=9).to(device)
    averaging = moving_average(0.9)
    averaging.setup(cast(Any, None), module, "fit")
    data._train_batch(0, 0)  # sends the epoch's order
    with nothing_waits_on(device):
        assert data._train_batch(0, 1)[0].shape == (32, 3, 32, 32)
        for step in (1, 2, 3):
            trainer = cast(Any, SimpleNamespace(global_step=step))
            averaging.on_train_batch_end(trainer, module, None, None, step)
