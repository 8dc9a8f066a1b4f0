"""Tests of tests/run.py with the output of invented test runs."""

import io
import os
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import run

# A fake cargo: it prints the output of cargo and logs its arguments to a file next to it.
CARGO = r"""#!/bin/sh
echo "$@" >>"$0.log"
case "$*" in
*--include-ignored*) echo 'test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; finished in 0.01s' ;;
*--ignored*) echo 'test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 9 filtered out; finished in 0.01s'; exit 101 ;;
*)
    echo 'test tiny::reads ... ok'
    echo 'test big::reads ... ignored, needs the model'
    echo 'test big::writes ... ignored, needs the model and a pen'
    echo 'test big::draws ... ignored, needs a pen, paper and the model'
    echo 'test golden::write_golden ... ignored, writes files into the repository'
    echo 'test result: ok. 2 passed; 0 failed; 3 ignored; 0 measured; 0 filtered out; finished in 0.01s'
    echo 'test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s'
    ;;
esac
"""


class Case(unittest.TestCase):
    def setUp(self) -> None:
        # Hide the output: the outer run would count these invented tests as real ones.
        self.enter(mock.patch.object(sys, "stdout", io.StringIO()))

    def enter(self, patch: object) -> None:
        patch.start()
        self.addCleanup(patch.stop)


class Rust(Case):
    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.cargo = pathlib.Path(folder.name, "cargo")
        self.cargo.write_text(CARGO)
        self.cargo.chmod(0o755)
        environment = {k: v for k, v in os.environ.items() if k != "LOCKET_REQUIRE"}
        self.enter(mock.patch.dict(os.environ, environment | {"PATH": f"{folder.name}:{os.environ['PATH']}"}, clear=True))

    def here(self, **needs: bool) -> None:
        found = {name.replace("_", " "): lambda is_here=is_here: is_here for name, is_here in needs.items()}
        self.enter(mock.patch.object(run, "NEEDS", found))

    def calls(self) -> list[str]:
        lines = self.cargo.with_suffix(".log").read_text().splitlines()
        return [line.removeprefix("test --locked --workspace").strip() for line in lines]

    def test_ignored_tests_run_by_name_where_their_needs_are_met(self) -> None:
        self.here(the_model=True, a_pen=True, paper=False)
        status, ran, ignored = run.cargo()
        self.assertEqual(["", "--tests -- --ignored --exact big::reads big::writes"], self.calls())
        self.assertEqual((101, 5), (status, ran), "the status is cargo's")
        self.assertEqual({"big::draws": "needs a pen, paper and the model"}, ignored)

    def test_where_nothing_is_here_all_stay_ignored(self) -> None:
        self.here(the_model=False, a_pen=True, paper=True)
        status, ran, ignored = run.cargo()
        self.assertEqual((0, 3, 3), (status, ran, len(ignored)))
        self.assertEqual([""], self.calls())

    def test_where_all_is_here_or_required_one_call_runs_everything(self) -> None:
        once = ["-- --include-ignored --skip=write_golden --skip=write_seeds"]
        self.here(the_model=True, a_pen=True, paper=True)
        self.assertEqual((0, 5, {}), run.cargo())
        self.assertEqual(once, self.calls())
        self.here(the_model=False, a_pen=False, paper=False)
        self.enter(mock.patch.dict(os.environ, {"LOCKET_REQUIRE": "1"}))
        self.assertEqual((0, 5, {}), run.cargo())
        self.assertEqual(2 * once, self.calls())

    def test_a_need_that_nobody_can_find_is_an_error(self) -> None:
        self.here(the_model=True, a_pen=False)
        with self.assertRaisesRegex(SystemExit, "paper"):
            run.cargo()


class Others(Case):
    def test_skipped_python_tests_are_listed_with_their_reasons(self) -> None:
        said = r"""
test_a (m.C.test_a) ... ok
test_b (m.C.test_b) ... skipped 'needs the default model'
test_c (m.C.test_c)
About something. ... skipped "it isn't here"
----
Ran 3 tests in 0.1s
"""
        status, ran, ignored = run.unittest(["printf", "%s", said])
        self.assertEqual((0, 1), (status, ran))
        self.assertEqual({"test_b (m.C.test_b)": "needs the default model", "test_c (m.C.test_c)": "it isn't here"}, ignored)

    def test_the_status_of_a_failed_command_is_kept(self) -> None:
        for kind in [run.unittest, run.guides, run.maven]:
            with mock.patch.object(run, "SUREFIRE", pathlib.Path("/nonexistent")):
                self.assertEqual(3, kind(["sh", "-c", "exit 3"])[0])


if __name__ == "__main__":
    unittest.main()
