"""Imports a user's code, in which the user's own ``engine``, ``runs`` and ``tui`` come first.

These three are usual names in vision code, and they are names of this program's packages too. In
the modules of the user's folder, and in no others, an import of such a name means the module of
that folder, if it has one: their ``__import__`` knows it under another name. The folder stands last
on the module path, so that it hides no other module.
"""

import builtins
import importlib
import importlib.util
import itertools
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
)
from pathlib import Path
from types import ModuleType
from typing import Any

OUR_NAMES = ("engine", "runs", "tui")
_OURS = tuple(Path(__file__).resolve().parents[2] / name for name in OUR_NAMES)
_NUMBERS = itertools.count(1)
_INSTALLED = ("site-packages", "dist-packages")
"""Folders of installed packages: a virtual environment may lie in the user's folder, and our own
source as well."""


def import_user_module(name: str, folder: str | None) -> ModuleType:
    """The module ``name``, from the user's folder or from an installed package.

    Args:
        name: dotted, as the user's own code would import it.
        folder: of the user's code; None: only installed packages.

    Raises:
        ImportError: there is no such module; or whatever its code raises.
    """
    if folder is None:
        return importlib.import_module(name)
    return _user_folder(str(Path(folder).resolve())).module(name)


@cache
def _user_folder(folder: str) -> "_UserFolder":
    return _UserFolder(Path(folder))


class _UserFolder:
    """A folder of a user's code, made importable."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = next(_NUMBERS)
        self._own = {name: path for name in OUR_NAMES if (path := self._find(name)) is not None}
        """Of our names those that the folder has too, with their files."""
        self._builtins = {**vars(builtins), "__import__": self._import}
        sys.path_hooks.insert(0, self._finder)
        sys.path_importer_cache.pop(str(folder), None)
        if str(folder) not in sys.path:
            sys.path.append(str(folder))

    def module(self, name: str) -> ModuleType:
        """The module of this name as the user's code sees it."""
        return importlib.import_module(self._known_as(name))

    def _find(self, name: str) -> Path | None:
        """The file of a module or package of the folder, or the folder of a package without
        ``__init__.py``; None without one, and for our own."""
        package = self._folder / name
        ours = importlib.util.find_spec(name)
        if ours is not None and package in map(Path, ours.submodule_search_locations or ()):
            return None
        for path in (package / "__init__.py", self._folder / f"{name}.py"):
            if path.is_file():
                return path
        return package if any(package.glob("*.py")) else None

    def _finder(self, entry: str) -> FileFinder:
        """A hook of ``sys.path_hooks``: finds modules in the folder and in packages below it."""
        path = Path(entry).resolve()
        if (
            not path.is_dir()
            or not path.is_relative_to(self._folder)
            or set(path.parts) & set(_INSTALLED)
            or any(map(path.is_relative_to, _OURS))
        ):
            raise ImportError(f"{entry} is not in {self._folder}")
        return FileFinder(
            entry,
            (ExtensionFileLoader, EXTENSION_SUFFIXES),
            (self._loader, SOURCE_SUFFIXES),  # type: ignore[arg-type]  # made by a method
        )

    def _loader(self, name: str, path: str) -> "_UserLoader":
        return _UserLoader(name, path, self._builtins)

    def _known_as(self, name: str) -> str:
        """The name in ``sys.modules`` of a module that the user's code calls ``name``."""
        top, dot, rest = name.partition(".")
        if top not in self._own:
            return name
        known = f"_user{self._number}_{top}"
        if known not in sys.modules:
            self._load(known, self._own[top])
        return f"{known}{dot}{rest}"

    def _load(self, known: str, path: Path) -> None:
        is_package = path.suffix != ".py" or path.name == "__init__.py"
        loader = self._loader(known, str(path)) if path.suffix == ".py" else None
        spec = ModuleSpec(known, loader, origin=str(path), is_package=is_package)
        spec.has_location = loader is not None
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(
                str(path.parent if path.name == "__init__.py" else path)
            )
        module = importlib.util.module_from_spec(spec)
        sys.modules[known] = module
        try:
            if loader is not None:
                loader.exec_module(module)
        except BaseException:
            del sys.modules[known]
            raise

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """``__import__`` of the modules in the folder."""
        known = name if level else self._known_as(name)
        return builtins.__import__(known, globals, locals, fromlist or (), level)


class _UserLoader(SourceFileLoader):
    """Loads a module whose code has builtins of its own."""

    def __init__(self, name: str, path: str, own_builtins: dict[str, Any]) -> None:
        super().__init__(name, path)
        self._own_builtins = own_builtins

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = self._own_builtins
        super().exec_module(module)
