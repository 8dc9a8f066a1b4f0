"""Runs tests, counts the tests that ran, and lists the ignored ones with their reasons.

    run.py cargo                     Rust: with LOCKET_REQUIRE every test; else the ignored ones too where their needs are met
    run.py unittest NAME COMMAND...  Python's unittest with -v
    run.py maven NAME COMMAND...     Maven, for the module in android/jvm, which builds into target/kotlin
    run.py guides NAME COMMAND...    tests/sdk/follow.py
    run.py summary                   the figures of the last run of each

The exit status is that of the command. An ignored Rust test names its needs in its reason, as in
`#[ignore = "needs the default model and PyTorch"]`. NEEDS below maps each need to the check that
finds it.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[1]
FIGURES = ROOT / "target/ran"
SUREFIRE = ROOT / "target/kotlin/surefire-reports"
CARGO = ["cargo", "test", "--locked", "--workspace"]
# Ignored functions that are not tests: they write golden files and the fuzzer's seeds.
WRITERS = ["write_golden", "write_seeds"]


def folder(variable: str, default: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(os.environ.get(variable) or default)


def works(*command: str) -> bool:
    return shutil.which(command[0]) is not None and subprocess.run(command, capture_output=True).returncode == 0


CACHE = folder("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")
MODELS = folder("LOCKET_MODELS", CACHE / "locket/models")
NEEDS = {
    "the default model": lambda: (MODELS / "gemma-3-270m-q4_k_m.gguf").exists(),
    "the chat model": lambda: (MODELS / "smollm2-135m-instruct-q4_1.gguf").exists(),
    "the public data": lambda: folder("LOCKET_DATA", ROOT / "../shared/data").is_dir(),
    "PyTorch": lambda: folder("LOCKET_ALIGN_PYTHON", ROOT / "target/venv-align/bin/python3").exists(),
    "NLTK": lambda: folder("LOCKET_PYTHON", ROOT / "target/venv/bin/python3").exists(),
    "WordNet": lambda: folder("LOCKET_WORDNET", pathlib.Path("/usr/share/wordnet")).joinpath("data.noun").exists(),
    "the offline example": lambda: (ROOT / "target/offline").exists(),
    "the app library": lambda: (ROOT / "target/debug/liblocket_ffi.so").exists(),
    # If a sandbox forbids tracing, strace fails even on this command.
    "strace": lambda: works("strace", "-o", "/dev/null", "true"),
    # Only the superuser has to change its user id.
    "setpriv": lambda: os.getuid() != 0 or works("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "true"),
}


# Exit status, number of tests that ran, and ignored tests with their reasons.
Outcome = tuple[int, int, dict[str, str]]


def stream(command: list[str], stderr: int | None = None) -> tuple[int, str]:
    """Runs a command, prints its output line by line, and returns its exit status and stdout."""
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, errors="replace") as running:
        for line in running.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return running.returncode, "".join(lines)


def cargo_test(*arguments: str) -> Outcome:
    status, said = stream([*CARGO, *arguments])
    results = re.findall(r"^test result: .* (\d+) passed; (\d+) failed", said, re.M)
    return status, sum(map(int, sum(results, ()))), dict(re.findall(r"^test (\S+) \.\.\. ignored, (.*)$", said, re.M))


def cargo() -> Outcome:
    missing = {need for need, here in NEEDS.items() if not here()}
    if os.environ.get("LOCKET_REQUIRE") or not missing:
        return cargo_test("--", "--include-ignored", *(f"--skip={name}" for name in WRITERS))
    status, ran, ignored = cargo_test()
    ignored = {name: reason for name, reason in ignored.items() if name.split("::")[-1] not in WRITERS}
    needs = {name: set(re.split(r", | and ", reason.removeprefix("needs "))) for name, reason in ignored.items()}
    if unknown := set().union(*needs.values()) - set(NEEDS):
        sys.exit(f"tests/run.py does not know how to find these needs of ignored tests: {unknown}")
    met = [name for name in ignored if not needs[name] & missing]
    if status == 0 and met:
        status, more, _ = cargo_test("--tests", "--", "--ignored", "--exact", *met)
        ran += more
        ignored = {name: reason for name, reason in ignored.items() if name not in met}
    return status, ran, ignored


def unittest(command: list[str]) -> Outcome:
    status, said = stream(command, subprocess.STDOUT)
    ran = sum(map(int, re.findall(r"^Ran (\d+) test", said, re.M)))
    # unittest prints the docstring of a test on a second line.
    ignored = dict(re.findall(r"^(\w+ \(\S+\))(?:\n.*)? \.\.\. skipped ['\"](.*)['\"]$", said, re.M))
    # unittest counts skipped tests as run.
    return status, ran - len(ignored), ignored


def maven(command: list[str]) -> Outcome:
    shutil.rmtree(SUREFIRE, ignore_errors=True)
    status, _ = stream(command)
    cases = [case for report in SUREFIRE.glob("TEST-*.xml") for case in ElementTree.parse(report).iter("testcase")]
    skipped = {f"{case.get('classname')}.{case.get('name')}": case.find("skipped") for case in cases}
    ignored = {name: skip.get("message", "") for name, skip in skipped.items() if skip is not None}
    return status, len(cases) - len(ignored), ignored


def guides(command: list[str]) -> Outcome:
    status, said = stream(command)
    return status, len(re.findall(r"^followed: ", said, re.M)), dict(re.findall(r"^ignored: (.*): (.*)$", said, re.M))


def show(name: str, ran: int, ignored: dict[str, str]) -> None:
    for test, reason in ignored.items():
        print(f"ignored: {test}: {reason}")
    print(f"{name}: {ran} tests ran, {len(ignored)} were ignored", flush=True)


def summary() -> None:
    parts = [(file.stem, *json.loads(file.read_text())) for file in sorted(FIGURES.glob("*.json"))]
    for part in parts:
        show(*part)
    print(f"In all {sum(ran for _, ran, _ in parts)} tests ran, {sum(len(ignored) for *_, ignored in parts)} were ignored.")


def main() -> int:
    kind, *rest = sys.argv[1:]
    if kind == "summary":
        summary()
        return 0
    name, *command = rest or ["Rust"]
    kinds = {"unittest": unittest, "maven": maven, "guides": guides}
    status, ran, ignored = cargo() if kind == "cargo" else kinds[kind](command)
    show(name, ran, ignored)
    FIGURES.mkdir(parents=True, exist_ok=True)
    (FIGURES / f"{name}.json").write_text(json.dumps([ran, ignored]))
    return status


if __name__ == "__main__":
    sys.exit(main())
