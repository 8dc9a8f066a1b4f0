"""Follows guides exactly: writes their files and runs their shell blocks in order, in a new folder.

A block is a file if the line before it is `<!-- file: PATH -->`. A block of `sh` is run, and its
output must match the next block of `text`, in which `…` matches anything. A block of `sh` after
`<!-- elsewhere -->` is for other systems and is skipped.

    follow.py GUIDE...
    follow.py --files kt|swift FOLDER GUIDE...

The second form only writes the files of one language into FOLDER, for a compiler or a checker.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^(?:<!-- (?P<note>[^\n]*?) -->\n)?```(?P<kind>\w+)\n(?P<body>.*?)^```$", re.M | re.S)


def write(folder: pathlib.Path, note: str, body: str) -> None:
    path = folder / note.removeprefix("file: ")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(body)


def follow(guide: pathlib.Path) -> None:
    env = os.environ | {"LOCKET": str(ROOT)}
    said = ""
    ran = 0
    with tempfile.TemporaryDirectory() as folder:
        for block in BLOCK.finditer(guide.read_text()):
            note, kind, body = block["note"] or "", block["kind"], block["body"]
            if note.startswith("file: "):
                write(pathlib.Path(folder), note, body)
            elif kind == "sh" and note != "elsewhere":
                done = subprocess.run(["bash", "-euo", "pipefail", "-c", body], cwd=folder, env=env, capture_output=True, text=True)
                said = done.stdout
                if done.returncode:
                    sys.exit(f"{guide}: this failed:\n{body}\n{done.stdout}\n{done.stderr}")
                ran += 1
            elif kind == "text":
                wanted = ".*".join(re.escape(part.strip()) for part in body.split("…"))
                if not re.search(wanted, said, re.S):
                    sys.exit(f"{guide}: wanted\n{body}\ngot\n{said}")
    if not ran:
        sys.exit(f"{guide}: nothing was run")
    print(f"followed: {guide}, {ran} steps")


def write_files(language: str, folder: pathlib.Path, guides: list[pathlib.Path]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for guide in guides:
        notes = {block["note"] or "": block["body"] for block in BLOCK.finditer(guide.read_text())}
        files = {note: body for note, body in notes.items() if note.startswith("file: ") and note.endswith(f".{language}")}
        if not files:
            sys.exit(f"{guide}: there is no file of {language}")
        for note, body in files.items():
            write(folder, note, body)


def main() -> None:
    if sys.argv[1] == "--files":
        language, folder, *guides = sys.argv[2:]
        write_files(language, pathlib.Path(folder), [pathlib.Path(guide) for guide in guides])
        return
    if not pathlib.Path(os.environ["LOCKET_TEST_MODEL"]).exists():
        if "LOCKET_REQUIRE" in os.environ:
            sys.exit("the model is required here and missing")
        for name in sys.argv[1:]:
            print(f"ignored: {name}: needs the default model")
        return
    for name in sys.argv[1:]:
        follow(pathlib.Path(name))


main()
