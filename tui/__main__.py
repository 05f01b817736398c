"""Entry point of ``advtui``: runs the screen or a command, and words the errors of both."""

import errno
import gc
import os
import sys


def main() -> int:
    """Run the command; an error becomes one sentence on stderr and its exit code."""
    if "--debug" in sys.argv:  # in any position, also after the command
        sys.argv = [word for word in sys.argv if word != "--debug"]
        os.environ["ADVTUI_DEBUG"] = "1"
    _adapt_streams()
    try:
        code = _run()
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except BrokenPipeError:
        _flush_or_discard()  # the reader of stdout has closed the pipe; a followed run continues
        return 0
    except SystemExit:
        if type(sys.stdout).__name__ == "PacifyFlushWrapper":  # Typer's answer to a closed pipe
            _flush_or_discard()
            return 0
        raise
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if os.environ.get("ADVTUI_DEBUG"):
            raise
        code = _explain(error)
        _flush_or_discard()
        return code


def _adapt_streams() -> None:
    """Let a terminal without UTF-8 show plain words for the signs that it lacks."""
    if not all((stream.encoding or "").lower() == "utf-8" for stream in (sys.stdout, sys.stderr)):
        from tui.render.plain_ascii import adapt

        adapt(sys.stdout, sys.stderr)


def _run() -> object:
    completing = "_ADVTUI_COMPLETE" in os.environ  # the shell asks Typer for completions
    if (
        len(sys.argv) == 1 and not completing
    ):  # the screen; importing Typer would be a sixth of its start
        gc.disable()  # until the first frame; it leaves no garbage
        from runs.permissions import protect_files
        from tui.app import open_app

        protect_files()
        open_app(None)
        return 0
    from tui.cli import app

    return app(standalone_mode=False)


def _flush_or_discard() -> None:
    """Write what stdout holds. Where that fails, discard it: else Python fails at its exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _of_the_process(error: Exception) -> Exception | None:
    """The sentence for an error of the system that is about this process, not about a file."""
    from runs.errors import UserError
    from runs.regular_files import refuse_limit

    if not isinstance(error, OSError):
        return None
    try:
        refuse_limit(error)
        os.getcwd()  # noqa: PTH109 - Path.cwd does the same
    except UserError as limit:
        return limit
    except FileNotFoundError:
        if error.errno == errno.ENOENT:
            return UserError("the working folder was deleted: change to another with cd")
    return None


def _explain(error: Exception) -> int:
    from runs.errors import EXIT_FAILED, EXIT_INTERRUPTED, UserError
    from runs.storage import storage_error
    from tui.render.text import clean

    error = _of_the_process(error) or error
    if isinstance(error, UserError):
        message, code = str(error), error.exit_code
    elif (refused := storage_error(error)) is not None:
        message, code = str(refused), refused.exit_code
    elif hasattr(error, "format_message"):  # a wrong option or argument, worded by Typer
        message, code = error.format_message(), int(getattr(error, "exit_code", 2))
    elif type(error).__name__ == "Abort":
        message, code = "aborted", EXIT_INTERRUPTED
    else:
        message = f"unexpected {type(error).__name__}: {error} (--debug shows where)"
        code = EXIT_FAILED
    print(f"advtui: {clean(message, 2000)}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
