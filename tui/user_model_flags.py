"""From ``--model``, ``--weights``, ``--normalised`` and ``--data`` to the fields of a spec."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from runs.architectures import ARCHITECTURES, TIMM
from runs.datasets import DATASETS, class_folders, dataset_name
from runs.errors import NotFoundError, UserError
from runs.results import split_checkpoint
from runs.spec import Channels, ModelRef
from runs.store import Store

IMAGENET: tuple[Channels, Channels] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def own_model(factory: str, weights: Path | None, normalised: str | None, data: str) -> ModelRef:
    """The reference to a user's own network; the current folder is where its package may lie.

    Raises:
        UserError: ``factory`` is not ``package.module:name``, or ``normalised`` cannot be parsed.
        NotFoundError: the file of weights does not exist.
    """
    if weights is not None and not weights.expanduser().is_file():
        raise NotFoundError(f"weights {weights}: there is no such file")
    mean, std = (None, None) if normalised is None else scale(normalised, data)
    name = factory.rpartition(":")[2]
    module, folder = code_file(factory) or (factory, Path.cwd())
    try:
        return ModelRef(
            factory=module,
            folder=str(folder),
            weights=None if weights is None else str(weights.expanduser().absolute()),
            mean=mean,
            std=std,
            label=name if weights is None else f"{name} ({weights.stem})",
        )
    except ValidationError as error:
        if any("factory" in item["loc"] for item in error.errors()):
            raise UserError(
                f"--model {factory!r}: write package.module:factory or a file, e.g. "
                "nets.wide:make or ./nets/wide.py:make"
            ) from None
        raise UserError(f"--normalised: {error.errors()[0]['msg']}") from None


def with_network(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Flags in which ``arch`` or ``model`` has become the fields ``arch`` and ``arch_folder``.

    Raises:
        UserError: both are given.
        NotFoundError: there is no such file.
    """
    rest = {name: value for name, value in flags.items() if name not in ("arch", "model")}
    names = [flags[name] for name in ("arch", "model") if name in flags]
    if not names:
        return rest
    if len(names) > 1:
        raise UserError("--arch and --model both name the network: give one")
    name = names[0]
    if name in ARCHITECTURES or name.startswith(TIMM) or ":" not in name:
        return {**rest, "arch": name, "arch_folder": None}
    factory, folder = code_file(name) or (name, Path.cwd())
    return {**rest, "arch": factory, "arch_folder": str(folder)}


def start_weights(store: Store, word: str) -> str:
    """The field ``init`` of what ``--init`` names: ``RUN:checkpoint`` by its id, or a file's path.

    Raises:
        NotFoundError: there is neither such a run or checkpoint, nor such a file.
    """
    name, checkpoint = split_checkpoint(word)
    file = Path(word).expanduser().absolute()
    if checkpoint is None:
        if not file.is_file():
            raise NotFoundError(f"--init {word}: there is no such file; or write RUN:best_clean")
        return str(file)
    run = store.find(name)
    if not run.checkpoint(checkpoint).is_file():
        raise NotFoundError(f"--init {word}: {run.id} has no {checkpoint}")
    return f"{run.id}:{checkpoint}"


def code_file(factory: str) -> tuple[str, Path] | None:
    """``./nets/wide.py:make`` as ``nets.wide:make`` and the folder of it; None for no file.

    The folder is the current one for a file below it, else the one above the file's packages.

    Raises:
        NotFoundError: there is no such file.
    """
    file, _, name = factory.rpartition(":")
    if not file.endswith(".py"):
        return None
    path = Path(file).expanduser().absolute().resolve()
    if not path.is_file():
        raise NotFoundError(f"--model {factory}: there is no file {file}")
    folder = path.parent
    if path.is_relative_to(Path.cwd()):
        folder = Path.cwd()
    else:
        while (folder / "__init__.py").is_file():
            folder = folder.parent
    parts = path.relative_to(folder).with_suffix("").parts
    if not all(part.isidentifier() for part in parts):
        folder, parts = path.parent, (path.stem,)
    return f"{'.'.join(parts)}:{name}", folder


def scale(text: str, data: str) -> tuple[Channels, Channels]:
    """Mean and std of a data set's name, ``imagenet``, ``data``, or ``MEAN,MEAN,MEAN:STD,STD,STD``.

    One mean, or one std, is that of all channels.

    Raises:
        UserError: it is none of these, or ``data`` and the data set has no usual mean and std.
    """
    usual = {name: (dataset.mean, dataset.std) for name, dataset in DATASETS.items()}
    mean, std = usual.get(data if text == "data" else str(dataset_name(text)), (None, None))
    if mean is not None and std is not None:
        return mean, std
    if text.lower() == "imagenet":
        return IMAGENET
    if text == "data":
        raise UserError(f"--normalised data: {data} has no usual mean and std: give them")
    parts = [part.split(",") for part in text.split(":")]
    parts = [3 * part if len(part) == 1 else part for part in parts]  # one for all channels
    try:
        (r, g, b), (sr, sg, sb) = ([float(value) for value in part] for part in parts)
    except ValueError:
        names = ", ".join((*DATASETS, "imagenet", "data"))
        raise UserError(
            f"--normalised {text!r}: write mean and std of the three channels, in pixels of "
            f"[0, 1], e.g. 0.5,0.5,0.5:0.25,0.25,0.25 or 0.5:0.25, or a name: {names}"
        ) from None
    return (r, g, b), (sr, sg, sb)


def data_set(text: str) -> str:
    """The name of a data set, or the absolute path of a folder of class folders.

    Raises:
        UserError: ``text`` is neither.
        NotFoundError: the folder holds no class folders.
    """
    if text in DATASETS:
        return text
    folder = Path(text).expanduser().absolute()
    if not folder.is_dir() and dataset_name(text) in DATASETS:
        return str(dataset_name(text))
    if not folder.is_dir():
        known = ", ".join(DATASETS)
        raise UserError(f"--data {text!r} is neither {known} nor a folder of class folders")
    class_folders(folder)
    return str(folder)
