"""Every command with its arguments and options, from the functions that Typer calls."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo, OptionInfo

from reference_tables.markdown import code, first_paragraph, part, table, text


def command_parts() -> str:
    """Every command with its arguments and options, from the functions that Typer calls."""
    from tui.cli import GROUPS, app, name_of

    callback = app.registered_callback
    assert callback is not None
    assert callback.callback is not None
    overview = [
        [
            f"[{code(name_of(function))}](#advtui-{name_of(function)})",
            text(first_paragraph(function)),
            text(group),
        ]
        for group, functions in GROUPS.items()
        for function in functions
    ]
    blocks = [
        "## advtui",
        *command_blocks("advtui", callback.callback, "[COMMAND]"),
        table(("Command", "What it does", "Group"), overview),
    ]
    for functions in GROUPS.values():
        for function in functions:
            words = f"advtui {name_of(function)}"
            blocks += [f"## {words}", *command_blocks(words, function)]
    return part(*blocks)


def command_blocks(words: str, function: Callable[..., Any], *last: str) -> list[str]:
    """Help, usage and tables of one command."""
    signature = inspect.signature(function)
    hints = get_type_hints(function, include_extras=True)
    usage, arguments, options = [words, "[OPTIONS]"], [], []
    for name, parameter in signature.parameters.items():
        if not hasattr(hints[name], "__metadata__"):
            continue  # Typer's context
        kind, info = hints[name].__origin__, hints[name].__metadata__[0]
        default = parameter.default
        needed = default is inspect.Parameter.empty
        shown = "" if needed or default in (None, False) else code(default)
        if isinstance(info, ArgumentInfo):
            metavar = info.metavar or name.upper()
            usage.append(metavar if needed else f"[{metavar}]")
            arguments.append(
                [code(metavar), "yes" if needed else "no", shown, text(info.help or "")]
            )
        elif isinstance(info, OptionInfo):
            options.append(
                [flags(name, kind, info), value(kind, info), shown, text(info.help or "")]
            )
    paragraphs = [text(block) for block in (inspect.getdoc(function) or "").split("\n\n")]
    blocks = [*paragraphs, f"    {' '.join([*usage, *last])}"]
    if arguments:
        blocks.append(table(("Argument", "Required", "Default", "Meaning"), arguments))
    if options:
        blocks.append(table(("Option", "Value", "Default", "Meaning"), options))
    return blocks


def flags(name: str, kind: Any, info: OptionInfo) -> str:
    own = f"--{name.replace('_', '-')}"
    declared = list(info.param_decls or ())
    if isinstance(info.default, str):  # inside Annotated the first name arrives as the default
        declared.insert(0, info.default)
    if not declared:
        declared = [own, f"--no-{own[2:]}"] if kind is bool else [own]
    return ", ".join(code(word) for word in declared)


def value(kind: Any, info: OptionInfo) -> str:
    """What stands behind the option: a metavar, a type in words, or nothing for a flag."""
    members = [member for member in get_args(kind) if member is not type(None)]
    many = get_origin(kind) is list or any(get_origin(member) is list for member in members)
    base = members[0] if members and get_origin(kind) is not list else kind
    base = get_args(base)[0] if get_origin(base) is list else base
    if base is bool:
        return ""
    words = {str: "text", int: "integer", float: "number", Path: "path"}[base]
    shown = code(info.metavar) if info.metavar else words
    return f"{shown}, repeatable" if many else shown
