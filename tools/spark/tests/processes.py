"""Functions that find the descendants of a process."""

import contextlib
import pathlib
import time


def below(pid: int) -> dict[int, tuple[int, str]]:
    """Returns the parent and the command of every descendant of `pid`."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status, command = (entry / "status").read_text(), (entry / "cmdline").read_text()
            except OSError:
                continue
            parent = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("PPid:"))
            found[int(entry.name)] = (parent, command)

    def under(child: int) -> bool:
        while child in found:
            child = found[child][0]
            if child == pid:
                return True
        return False

    return {p: of for p, of in found.items() if under(p)}


def busy(pids: list[int]) -> list[int]:
    """Returns the busy processes of `pids`: their processor time grows within a twentieth of a
    second (five usual ticks)."""
    before = {pid: ticks(pid) for pid in pids}
    time.sleep(0.05)
    return [pid for pid in pids if ticks(pid) > before[pid]]


def ticks(pid: int) -> int:
    """Returns the processor time of a process, user and system, or 0 if the process has ended."""
    with contextlib.suppress(OSError):
        return sum(map(int, pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return 0
