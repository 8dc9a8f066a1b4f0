"""Compares the Spark job with the one-machine builder: the same users must give the same pack.

    make test-spark
"""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from processes import below, busy

REPO = pathlib.Path(__file__).resolve().parents[3]
LOCKET = REPO / "target/debug/locket"
SAMPLE = REPO / "tests/sample/sample.jsonl"
SCRIPTS = [
    "Größe passt, die Spülmaschine übersteht's. Straße, ẞ, Œuvre, naïve cafe\u0301, İstanbul, x² 5½ ①.",
    "Чайник не течёт, ручка тёплая и крепкая; очень доволен покупкой. Высококачественнейшее обслуживание.",
    "茶壶很好用，手柄不烫手，容易清洗。USB线3米。我喜欢！",
    "यह केतली बहुत अच्छी है, हैंडल मज़बूत है। दुकानदार भला है।",
    "กาน้ำดีมาก หูจับไม่ร้อน ทำความสะอาดง่าย",
    "このケトルはとても良い。ハンドルが熱くならない。ｶﾞﾗｽ製、らーめん",
    "주전자가 아주 좋아요. 손잡이가 뜨겁지 않아요.",
    "הקומקום טוב מאוד, \u05e9\u05dc\u05d5\u05dd. ابريق ممتاز، لا يسرب الماء؟ می\u200cخواهم. ΟΔΟΣ Σίσυφος",
]
"""German, Russian, Chinese, Hindi, Thai, Japanese, Korean, Hebrew, Arabic, Persian and Greek."""
DATA = pathlib.Path(os.environ.get("LOCKET_DATA", REPO.parent / "shared/data"))


def locket(*args: object) -> dict:
    said = subprocess.run([LOCKET, *map(str, args), "--json"], check=True, capture_output=True, text=True)
    return json.loads(said.stdout)


SECTIONS = {"ids": 3, "titles": 6, "authors": 14, "stars": 15, "texts": 17, "terms": 19, "documents": 20, "content": 22}
"""Sections of a pack (core/src/pack/format.rs) with the same bytes from either builder."""


def sections(pack: pathlib.Path) -> dict[int, bytes]:
    """Returns the sections of a pack, by number."""
    data = pack.read_bytes()
    table = struct.iter_unpack("<IIQQ", data[32 : 32 + 24 * int.from_bytes(data[12:16], "little")])
    return {number: data[at : at + length] for number, _, at, length in table}


def spark(*args: object, master: str = "local[2,4]") -> subprocess.Popen:
    """Starts the job, by default on two threads of this machine, where a task may fail three
    times."""
    environment = {
        **os.environ, "PYTHONPATH": str(REPO / "tools/spark"), "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_WORKER_DIR": tempfile.gettempdir() + "/locket-spark",
        # A job on so few users ends before the optimising compiler pays off.
        "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    }
    command = [sys.executable, "-m", "locket_spark", "--master", master, "--partitions", "2", *map(str, args)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def workers(pid: int) -> list[int]:
    """Returns the descendants of `pid` in which Python is running a task.

    Killing idle ones loses nothing.
    """
    daemons = {p: parent for p, (parent, command) in below(pid).items() if "pyspark.daemon" in command}
    return busy([p for p, parent in daemons.items() if parent in daemons])


def executors(pid: int) -> list[int]:
    """Returns the executors below `pid`: Java processes that hold tasks, cached data and shuffle
    data."""
    return [p for p, (_, command) in below(pid).items() if "CoarseGrainedExecutorBackend" in command]


class Case(unittest.TestCase):
    def setUp(self) -> None:
        self.dir = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.dir)

    def parts(self, name: str, *source: object) -> pathlib.Path:
        out = self.dir / name
        job = spark(*source, "--out", out)
        _, said = job.communicate()
        self.assertEqual(0, job.returncode, said[-3000:])
        return out

    def pack(self, parts: pathlib.Path) -> pathlib.Path:
        out = parts.with_suffix(".pack")
        locket("pack", "assemble", parts, "--out", out)
        return out

    def same(self, here: pathlib.Path, there: pathlib.Path, *people: object, order: float = 0.99) -> None:
        found = locket("eval", "packs", here, there, *people)
        self.assertGreaterEqual(found["same_items"], 0.99, found)
        self.assertGreaterEqual(found["same_order"], order, found)
        self.assertLess(abs(found["recall"][0] - found["recall"][1]), 0.0005, found)
        print(f"{found['people']} people: {100 * found['same_order']:.2f} % have the same first 10, recall@20 {found['recall']}")


class Sample(Case):
    """Tests with a sample of 30 users. Near ties may order a user's predictions differently."""

    whole: pathlib.Path

    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.whole = pathlib.Path(folder.name) / "parts"
        job = spark("--profiles", SAMPLE, "--out", cls.whole)
        _, said = job.communicate()
        assert job.returncode == 0, said[-3000:]

    def test_both_builders_make_the_same_pack(self) -> None:
        here, there = self.dir / "here.pack", self.dir / "there.pack"
        ours = locket("pack", "build", "--profiles", SAMPLE, "--out", here)
        locket("pack", "assemble", self.whole, "--out", there)
        theirs = locket("pack", "inspect", there)
        for fact in ["items", "users", "edges", "texts", "documents", "terms", "mean_words", "people_edges", "content_edges", "bytes"]:
            self.assertEqual(ours[fact], theirs[fact], fact)
        self.same(here, there, "--profiles", SAMPLE, order=0.9)

    def test_both_leave_out_the_same(self) -> None:
        asked = self.dir / "asked.txt"
        asked.write_text(json.loads(SAMPLE.read_text().splitlines()[4])["user"] + "\n")
        private = {
            "user": "writer",
            "history": [{"item": "", "kind": "reply", "text": "sure, see you at 8"}],
            "target": {"item": "k3", "kind": "email", "title": "Board", "text": "Hi Ada, the board came."},
        }
        people = self.dir / "people.jsonl"
        people.write_text(SAMPLE.read_text() + json.dumps(private) + "\n")
        keep = ["--remove", asked, "--people-per-item", 3, "--authors-per-item", 3, "--texts-per-author", 5, "--texts-per-item", 2]
        here = self.dir / "here.pack"
        ours = locket("pack", "build", "--profiles", people, *keep, "--out", here)
        parts = self.parts("parts", "--profiles", people, *keep)
        theirs = locket("pack", "assemble", parts, "--out", self.dir / "there.pack")
        self.assertGreater(min(ours["dropped"][k] for k in ["removed_people", "without_item", "private_texts", "rare_items", "texts_per_author", "texts_per_item"]), 0)
        self.assertEqual(ours["dropped"], theirs["dropped"])
        for fact in ["items", "users", "edges", "texts", "documents", "terms", "bytes"]:
            self.assertEqual(ours[fact], theirs[fact], fact)
        self.same(here, self.dir / "there.pack", "--profiles", SAMPLE, order=0.9)

    def test_a_table_gives_the_same_and_a_text_counts_once(self) -> None:
        rows, seq = [], 0
        for line in SAMPLE.read_text().splitlines():
            profile = json.loads(line)
            for interaction in [*profile["history"], profile["target"]]:
                rows.append({"user": profile["user"], "seq": seq, **interaction})
                seq += 1
        rows += [{**row, "seq": seq + n, "text": f" {row['text']} "} for n, row in enumerate(rows[::60])]
        rows.reverse()
        flat, table = self.dir / "flat.jsonl", self.dir / "table"
        flat.write_text("\n".join(map(json.dumps, rows)))
        convert = (
            "from pyspark.sql import SparkSession as S; from locket_spark.frames import FLAT; import sys\n"
            "S.builder.master('local[1]').getOrCreate().read.schema(FLAT).json(sys.argv[1]).write.parquet(sys.argv[2])"
        )
        environment = {**os.environ, "PYTHONPATH": str(REPO / "tools/spark"), "SPARK_LOCAL_IP": "127.0.0.1"}
        subprocess.run([sys.executable, "-c", convert, flat, table], check=True, capture_output=True, env=environment)
        parts = self.parts("parts", "--interactions", table)
        there = locket("pack", "assemble", parts, "--out", self.dir / "table.pack")
        locket("pack", "assemble", self.whole, "--out", self.dir / "profiles.pack")
        self.assertEqual(4, there["dropped"]["duplicates"])
        self.assertEqual((self.dir / "profiles.pack").read_bytes(), (self.dir / "table.pack").read_bytes())

    def test_texts_of_every_script_and_with_personal_data_give_the_same(self) -> None:
        said = [case.split("\t")[1] for case in (REPO / "tests/cleaning.tsv").read_text().splitlines() if not case.startswith("#")]
        said += SCRIPTS
        profiles = []
        for n, text in enumerate(said):
            met = [{"item": f"i{(n + k) % 7}", "item_title": f"Größe № {k} 茶壶", "title": said[n - k], "text": text, "rating": 4} for k in range(3)]
            profiles.append({"user": f"u{n}", "history": met[:2], "target": met[2]})
        people = self.dir / "people.jsonl"
        people.write_text("\n".join(json.dumps(p, ensure_ascii=False) for p in profiles), encoding="utf-8")
        keep = ["--texts-per-item", 20]
        here, there = self.dir / "here.pack", self.dir / "there.pack"
        ours = locket("pack", "build", "--profiles", people, *keep, "--out", here)
        theirs = locket("pack", "assemble", self.parts("parts", "--profiles", people, *keep), "--out", there)
        self.assertGreater(min(ours["dropped"]["cleaned"].values()), 0)
        self.assertEqual(ours["dropped"], theirs["dropped"])
        for fact in ["items", "users", "edges", "texts", "documents", "terms", "mean_words", "bytes"]:
            self.assertEqual(ours[fact], theirs[fact], fact)
        mine, yours = sections(here), sections(there)
        for name, number in SECTIONS.items():
            self.assertEqual(mine[number], yours[number], name)

    def killed(self, which, pause: float, lost: str, **how: str) -> None:
        """Runs the job, kills processes while it runs, and requires the same pack as without kills.

        It kills at least three processes that `which` returns, until the job has logged the loss
        (`lost`) twice. More kills could exceed the failures that a task may have before the job
        ends. It waits `pause` seconds after each kill for the log.
        """
        undisturbed, out = self.dir / "undisturbed.pack", self.dir / "killed"
        locket("pack", "assemble", self.whole, "--out", undisturbed)
        job = spark("--profiles", SAMPLE, "--out", out, **how)
        killed = 0
        said: list[str] = []
        drain = threading.Thread(target=lambda: said.extend(job.stderr))
        drain.start()
        while job.poll() is None and (killed < 3 or sum(lost in line for line in said) < 2):
            for process in which(job.pid)[:1]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
                    killed += 1
                time.sleep(pause)
            time.sleep(0.05)
        with job.stdout as out_of_it:
            out_of_it.read()
        self.assertEqual(0, job.wait(), "".join(said)[-3000:])
        drain.join()
        job.stderr.close()
        self.assertGreaterEqual(killed, 3)
        self.assertIn(lost, "".join(said))
        digest = lambda path: hashlib.sha256(path.read_bytes()).hexdigest()
        self.assertEqual(digest(undisturbed), digest(self.pack(out)))

    def test_a_killed_task_changes_nothing(self) -> None:
        self.killed(workers, 2, "Lost task")

    def test_a_killed_executor_changes_nothing(self) -> None:
        self.killed(executors, 15, "Lost executor", master="local-cluster[2,1,1024]")

    def test_parts_that_do_not_fit_are_refused(self) -> None:
        parts = self.dir / "parts"
        shutil.copytree(self.whole, parts)
        shutil.rmtree(parts / "full" / "alike")
        failed = subprocess.run([LOCKET, "pack", "assemble", parts, "--out", self.dir / "p"], capture_output=True, text=True)
        self.assertNotEqual(0, failed.returncode)
        self.assertIn("full/alike", failed.stderr)
        for facts in (parts / "facts").glob("*.txt"):
            facts.write_text('{"unfinished": true}')
        failed = subprocess.run([LOCKET, "pack", "assemble", parts, "--out", self.dir / "p"], capture_output=True, text=True)
        self.assertIn("has not come to its end", failed.stderr)
        self.assertFalse((self.dir / "p").exists())


class Large(Case):
    """Tests with real data.

    They take minutes and run if LOCKET_SPARK_LARGE is set and the data exists.
    """

    def setUp(self) -> None:
        super().setUp()
        if "LOCKET_SPARK_LARGE" not in os.environ:
            self.skipTest("takes half an hour: set LOCKET_SPARK_LARGE=1")
        if not DATA.exists():
            assert "LOCKET_REQUIRE" not in os.environ, f"the public data is required here and missing: {DATA}"
            self.skipTest("needs the public data")

    def test_gowalla(self) -> None:
        edges = {name: self.dir / f"{name}.txt" for name in ("train", "test")}
        for name, path in edges.items():
            path.write_bytes(subprocess.run(["zstdcat", DATA / f"gowalla/{name}.txt.zst"], check=True, capture_output=True).stdout)
        here = self.dir / "here.pack"
        locket("pack", "build", "--edges", edges["train"], "--out", here)
        there = self.pack(self.parts("parts", "--edges", edges["train"]))
        self.same(here, there, "--train", edges["train"], "--test", edges["test"])

    def test_profiles(self) -> None:
        for file in sorted(DATA.glob("*/*.jsonl.zst")):
            with self.subTest(file.name):
                plain = self.dir / file.stem
                plain.write_bytes(subprocess.run(["zstdcat", file], check=True, capture_output=True).stdout)
                here = self.dir / "here.pack"
                locket("pack", "build", "--profiles", plain, "--out", here)
                there = self.pack(self.parts("parts", "--profiles", plain))
                # Predictions are often at a near tie if most items have one user.
                self.same(here, there, "--profiles", plain, order=0.95)


if __name__ == "__main__":
    unittest.main()
