"""Errors that are sentences for a person, each with the exit code of the command."""

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NOT_FOUND = 3
EXIT_INTERRUPTED = 130


class UserError(Exception):
    """A request that can't be carried out; the message says why, and what to do."""

    exit_code = EXIT_USAGE

    def __init__(self, message: str, *, exit_code: int | None = None) -> None:
        super().__init__(message)
        if exit_code is not None:
            self.exit_code = exit_code


class NotFoundError(UserError):
    """No such run, checkpoint or data."""

    exit_code = EXIT_NOT_FOUND
