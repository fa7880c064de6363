"""Background processes, identified by number and command line, so a reused number is not mistaken for ours."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from local.errors import LocalSystemError


def free_port(preferred: int | None = None) -> int:
    """Return a free port of the loopback address: `preferred` when it is, or soon becomes, free, else any."""
    # A process that was killed a moment ago may hold its port a little longer.
    if preferred and poll(lambda: _bound(preferred) is not None, 3):
        return preferred
    port = _bound(0)
    if port is None:
        raise LocalSystemError("no port of 127.0.0.1 is free")
    return port


def _bound(port: int) -> int | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return None
        return int(probe.getsockname()[1])


def is_running(pid: int, marker: str) -> bool:
    """Return whether process `pid` is running with `marker` in its command line."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z" and any(marker.encode() in argument for argument in arguments)


def running_pid(pid_file: Path, marker: str) -> int | None:
    """Return the number in `pid_file` if that process of ours is running; ignore a stale file."""
    try:
        pid = int(pid_file.read_text())
    except (OSError, ValueError):
        return None
    return pid if is_running(pid, marker) else None


def start(
    command: list[str], log: Path, pid_file: Path, *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start `command` in its own session, append its output to `log`, and write its number to `pid_file`."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=env,
            start_new_session=True,
        )
    pid_file.write_text(f"{process.pid}\n")
    return process


def stop(pid_file: Path, marker: str, *, seconds: float = 20) -> bool:
    """Terminate the process of `pid_file`, then kill it if needed; return whether there was one."""
    pid = running_pid(pid_file, marker)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        if not poll(lambda: not is_running(pid, marker), seconds):
            os.kill(pid, signal.SIGKILL)
            poll(lambda: not is_running(pid, marker), 5)
        # Our own child stays a zombie until we wait for it, after the last of its threads.
        with suppress(ChildProcessError):
            poll(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid, 5)
    pid_file.unlink(missing_ok=True)
    return pid is not None


def poll(condition: Callable[[], bool], seconds: float, interval: float = 0.1) -> bool:
    """Wait at most `seconds` for `condition`; return whether it became true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(interval)
    return condition()


def log_tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a log file, for an error message."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def wait_until(
    condition: Callable[[], bool], what: str, process: subprocess.Popen[bytes], log: Path, seconds: float
) -> None:
    """Wait for a server to answer. If it ends or does not answer, raise an error with its log."""
    if poll(lambda: condition() or process.poll() is not None, seconds) and process.poll() is None:
        return
    fate = "ended" if process.poll() is not None else f"did not answer within {seconds:.0f} s"
    raise LocalSystemError(f"{what} {fate}; the end of {log}:\n{log_tail(log)}")
