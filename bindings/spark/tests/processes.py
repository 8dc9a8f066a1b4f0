"""The processes that a process started."""

import pathlib


def below(pid: int) -> dict[int, tuple[int, str]]:
    """All processes below `pid`: of each its parent and its command."""
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
