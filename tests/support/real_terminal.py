"""A real terminal for tests: a pty, the command in it, and a screen emulator that reads it."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pyte

KEYS = {
    "enter": "\r", "escape": "\x1b", "down": "\x1b[B", "left": "\x1b[D", "right": "\x1b[C",
    "space": " ", "ctrl+s": "\x13",
}  # fmt: skip


class Terminal:
    """``advtui`` in a pseudo-terminal of its own session."""

    def __init__(
        self,
        home: Path,
        *words: str,
        size: tuple[int, int] = (120, 40),
        cwd: Path | None = None,
        more_environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        width, height = size
        self.screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self.screen)
        self.bytes = 0
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        environment = {
            **os.environ,
            "ADVTUI_HOME": str(home),
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "ADVTUI_CONFIG": str(home / "no-config.toml"),
            **more_environment,
        }
        for size_of_another in ("COLUMNS", "LINES"):  # they would count for more than the pty's
            environment.pop(size_of_another, None)
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tui", *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            cwd=cwd,
            preexec_fn=self._own_session,
            close_fds=True,
        )
        os.close(slave)

    @staticmethod
    def _own_session() -> None:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def read(self, seconds: float = 0.05) -> bytes:
        """Take in what comes within so many seconds."""
        got = b""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            chunk = self._take(left)
            if not chunk:
                break
            got += chunk
        return got

    def _take(self, seconds: float = 0.05) -> bytes:
        """What comes next; nothing where nothing comes within so many seconds."""
        if not select.select([self._master], [], [], seconds)[0]:
            return b""
        try:
            chunk = os.read(self._master, 65_536)
        except OSError:  # the other side is closed
            return b""
        self.bytes += len(chunk)
        self._stream.feed(chunk)
        return chunk

    @property
    def text(self) -> str:
        """What stands on the screen."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def wait_for(self, *texts: str, seconds: float = 60) -> None:
        """Until all of these stand on the screen."""
        until = time.perf_counter() + seconds
        while not all(text in self.text for text in texts):
            assert time.perf_counter() < until, f"never saw {texts} in\n{self.text}"
            assert self.process.poll() is None or self.read(), f"it ended:\n{self.text}"
            self._take()

    def press(self, *keys: str) -> None:
        for key in keys:
            os.write(self._master, KEYS.get(key, key).encode())
            self.read(0.15)

    def place(self, text: str, line: str = "") -> tuple[int, int]:
        """Column and line of the first cell of a text, in the first line that holds ``line``.

        Waits until nothing more is drawn.
        """
        while self._take(0.1):
            pass
        for y, seen in enumerate(self.screen.display):
            if text in seen and line in seen:
                return seen.index(text), y
        raise AssertionError(f"{text!r} is not in\n{self.text}")

    def click(self, text: str, line: str = "", *, times: int = 1) -> None:
        """Click on the first cell of a text; see :meth:`place`."""
        self.click_at(*self.place(text, line), times=times)

    def click_at(self, x: int, y: int, *, times: int = 1) -> None:
        """Send what a terminal with SGR mouse reports sends when its cell is clicked."""
        at = f"\x1b[<0;{x + 1};{y + 1}"
        os.write(self._master, f"{at}M{at}m".encode() * times)
        self.read(0.15)

    def leave(self) -> int:
        """Press ``q``; returns the exit code."""
        self.press("q")
        until = time.perf_counter() + 20
        while self.process.poll() is None and time.perf_counter() < until:
            self.read()
        self.close()
        return self.process.wait(timeout=5)

    def hang_up(self) -> None:
        """The connection drops: the terminal is gone, and its session gets SIGHUP."""
        self.close()
        self.process.wait(timeout=20)

    def close(self) -> None:
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def kill(self) -> None:
        """End it whatever it does."""
        self.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
