"""Tests of the Python package with the native library and the real model: `make sdk-python`."""

import asyncio
import gc
import json
import os
import pathlib
import tempfile
import threading
import unittest

import locket
from locket import Chunk, GenerateRequest, Interaction, LocketError, Part, WritingTask

PACK = pathlib.Path(os.environ["LOCKET_TEST_PACK"])
ADAPTER = pathlib.Path(os.environ["LOCKET_TEST_ADAPTER"])
MODEL = pathlib.Path(os.environ.get("LOCKET_TEST_MODEL") or "/nonexistent")
KEY = bytes(range(32))


def model(**more: object) -> locket.ModelConfig:
    if not MODEL.exists():
        assert "LOCKET_REQUIRE" not in os.environ, "the model is required here and missing"
        raise unittest.SkipTest("needs the default model")
    return locket.ModelConfig(path=str(MODEL), adapter_path=str(ADAPTER), **more)


def text(**more: object) -> GenerateRequest:
    asked = {"max_new_tokens": 40, "item_title": "Tea Strainer", "title": "Catches every leaf"}
    return GenerateRequest(item="k20", task=WritingTask.TEXT, **(asked | more))


async def record_three(me: locket.Locket) -> None:
    await me.record(Interaction(item="k9", title="Slow", text="The tea goes through it as well, slowly.", rating=5))
    await me.record(Interaction(item="k4", title="Loud", text="My tea and I left until it was done.", rating=2))
    await me.record(Interaction(item="k3", title="Good board", text="A board, a knife, bread, tea.", rating=4))


class Case(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.dir = pathlib.Path(scratch.name)

    def open(self, **more: object):
        return locket.Locket.open(self.dir / "store", KEY, pack=PACK, **more)


class Store(Case):
    async def test_records_stay(self) -> None:
        async with await self.open() as me:
            await record_three(me)
            history = await me.history()
        async with await self.open() as me:
            self.assertEqual(history, await me.history())
            self.assertEqual(3, len(json.loads(await me.export())["records"]))

    async def test_keys_and_locks(self) -> None:
        async with await self.open():
            with self.assertRaises(LocketError.StoreLocked):
                await self.open()
        with self.assertRaisesRegex(LocketError.WrongKey, "wrong key"):
            await locket.Locket.open(self.dir / "store", locket.generate_key())
        with self.assertRaisesRegex(LocketError.BadInput, "31"):
            await locket.Locket.open(self.dir / "store", KEY[:31])

    async def test_erased(self) -> None:
        me = await self.open()
        await record_three(me)
        await me.erase()
        self.assertEqual([], [f for f in (self.dir / "store").rglob("*") if f.is_file() and "lock" not in f.name])
        with self.assertRaises(LocketError.Closed):
            await me.history()

    async def test_single_records_are_forgotten(self) -> None:
        async with await self.open() as me:
            await record_three(me)
            first, second, third = await me.history()
            self.assertTrue(await me.forget(second.id))
            self.assertFalse(await me.forget(second.id))
            self.assertEqual([first, third], await me.history())
        async with await self.open() as me:
            self.assertEqual([first, third], await me.history())
            self.assertNotIn(second.interaction.text, await me.export())

    async def test_an_import_adds_what_is_new(self) -> None:
        async with await self.open() as me:
            await record_three(me)
            export, history = await me.export(), await me.history()
            self.assertEqual(0, await me.import_export(export))
            self.assertTrue(await me.forget(history[0].id))
            self.assertEqual(1, await me.import_export(export))
            self.assertEqual(3, len(await me.history()))
            with self.assertRaisesRegex(LocketError.BadInput, "not an export"):
                await me.import_export("{}")

    async def test_own_messages_of_a_chat_are_imported_once(self) -> None:
        chat = self.dir / "chat.txt"
        chat.write_text("12/05/26, 14:03 - Ada: Are you coming?\n12/05/26, 14:05 - Ben: sure, see you at 8\n")
        steps = []
        async with await self.open() as me:
            options = locket.ImportOptions(me=["Ben"])
            planned = await me.preview_writing(chat, options, lambda done, total: steps.append((done, total)))
            self.assertEqual((1, 0, []), (planned.taken, planned.known, await me.history()))
            self.assertEqual("sure, see you at 8", planned.examples[0].text)
            self.assertEqual(steps[-1][0], steps[-1][1])
            self.assertEqual(1, (await me.import_writing(chat, options)).taken)
            again = await me.import_writing(chat.read_bytes(), options)
            self.assertEqual((0, 1), (again.taken, again.known))
            self.assertEqual([locket.SkippedMessages(reason=locket.SkipReason.NOT_MINE, count=1)], again.skipped)
            [record] = await me.history()
            self.assertEqual("Are you coming?", record.interaction.context)
            self.assertEqual(await me.audience(" ada"), record.interaction.audience)
            with self.assertRaisesRegex(LocketError.BadInput, "Ada .1 message., Ben"):
                await me.import_writing(chat)
        fake = locket.Locket.fake(locket.FakeScript(availability=locket.Availability.NO_MODEL()))
        self.assertEqual(1, (await fake.import_writing(chat, options)).taken)

    async def test_the_history_is_in_the_order_of_times(self) -> None:
        async with await self.open() as me:
            await me.record(Interaction(item="b", text="later", time_ms=1_700_000_000_000))
            await me.record(Interaction(item="a", text="earlier, in seconds", time_ms=1_600_000_000))
            history = await me.history()
            self.assertEqual(["a", "b"], [r.interaction.item for r in history])
            self.assertEqual(1_600_000_000_000, history[0].interaction.time_ms)
            with self.assertRaisesRegex(LocketError.BadInput, "negative"):
                await me.record(Interaction(item="c", text="never", time_ms=-1))

    async def test_a_lost_key_file_or_key(self) -> None:
        async with await self.open() as me:
            await record_three(me)
        store = self.dir / "store"
        (store / "locket.key").rename(self.dir / "aside")
        with self.assertRaisesRegex(LocketError.KeyFileMissing, "put it back, or erase"):
            await self.open()
        (self.dir / "aside").rename(store / "locket.key")
        async with await self.open() as me:
            self.assertEqual(3, len(await me.history()))
            with self.assertRaises(LocketError.StoreLocked):
                await locket.erase_store(str(store))
        (store / "mine.txt").write_text("stays")
        await locket.erase_store(str(store))
        self.assertEqual(["mine.txt"], [f.name for f in store.iterdir()])
        async with await locket.Locket.open(store, locket.generate_key()) as me:
            self.assertEqual([], await me.history())

    async def test_a_signed_delta_turns_an_older_pack_into_the_newer_one(self) -> None:
        mine, delta = self.dir / "my.pack", PACK.with_name("update.delta")
        mine.write_bytes(PACK.with_name("older.pack").read_bytes())
        public = bytes.fromhex(PACK.with_name("release.public").read_text().strip())
        forged = self.dir / "forged.delta"
        forged.write_bytes(delta.read_bytes()[:-1] + b"x")
        with self.assertRaisesRegex(LocketError.UpdateRefused, "not those that were signed"):
            await locket.update_pack(str(mine), str(forged), public)
        self.assertEqual(PACK.with_name("older.pack").read_bytes(), mine.read_bytes())
        await locket.update_pack(str(mine), str(delta), public)
        self.assertEqual(PACK.read_bytes(), mine.read_bytes())

    async def test_bad_input(self) -> None:
        async with await self.open() as me:
            with self.assertRaises(LocketError.BadInput):
                await me.record(Interaction(item="", text="x"))
            with self.assertRaises(LocketError.NoModel):
                await me.generate(text())
            with self.assertRaises(TypeError):
                await me.record(Interaction(item=3, text="x"))
            self.assertEqual([], await me.history())

    async def test_predictions_say_why(self) -> None:
        async with await self.open() as me:
            await record_three(me)
            found = await me.predict(locket.PredictRequest(count=3, explain=True))
        self.assertEqual(3, len(found))
        for prediction in found:
            self.assertAlmostEqual(1.0, sum(r.share for r in prediction.reasons), places=3)

    async def test_a_thousand_engines(self) -> None:
        async def once() -> None:
            await (await self.open()).close()

        for _ in range(50):
            await once()
        gc.collect()
        before = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
        for _ in range(1000):
            await once()
        gc.collect()
        after = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
        self.assertLessEqual(after[0], before[0] + 4)
        self.assertLessEqual(after[1], before[1] + 8)


class Writing(Case):
    async def test_a_stream_is_the_text_in_chunks(self) -> None:
        async with await self.open(model=model()) as me:
            await record_three(me)
            *plain, written = [chunk async for chunk in me.stream(text())]
            self.assertEqual(({Part.TEXT}, None), ({p.part for p in plain}, written.plan))
            *planned, written = [chunk async for chunk in me.stream(text(length=locket.Length.BRIEF))]
            self.assertEqual([Part.PLAN, Part.TEXT], list(dict.fromkeys(p.part for p in planned)))
            self.assertIs(locket.Length.BRIEF, written.plan.length)
            *chunks, written = [chunk async for chunk in me.stream(text(reasoning=True))]
            said = "".join(p.text for p in chunks if p.part is Part.TEXT)
            self.assertGreater(len(chunks), 10)
            self.assertIs(Part.PLAN, chunks[0].part)
            self.assertTrue(said.strip().startswith(written.text), (said, written.text))
            self.assertEqual(written.text, (await me.generate(text(reasoning=True))).text)

    async def test_replies_mails_rewrites_and_a_kind_of_the_apps_own(self) -> None:
        mail = "Hi Ada,\n\nthe parts came.\n\nBest,\nBen"
        toast = locket.Kind(
            name="toast", one="wedding toast", many="wedding toasts", title="Couple", paragraphs=True
        )
        requests = [
            {"kind": locket.kind_named("reply"), "context": "Lunch on Friday?", "gist": "yes, at noon"},
            {"kind": locket.kind_named("email"), "title": "Screws", "audience": "ada", "gist": "screws are missing"},
            {"kind": locket.kind_named("note"), "draft": "buy bread. buy tea. call the shop about the kettle."},
            {"kind": toast, "title": "Ada and Carl"},
        ]
        async with await self.open(model=model()) as me:
            await me.record(Interaction(text=mail, title="Parts", kind="email", audience="ada"))
            await me.record(Interaction(text="sure, see you at 8", kind="reply", context="Are you coming?"))
            stored = {record.interaction.kind: record.interaction for record in await me.history()}
            self.assertEqual((mail, "Are you coming?"), (stored["email"].text, stored["reply"].context))
            for request in requests:
                written = await me.generate(GenerateRequest(task=WritingTask.TEXT, max_new_tokens=40, **request))
                self.assertTrue(written.text.strip(), request)
                self.assertNotIn("¶", written.text)
                self.assertIsNone(written.plan)
        self.assertIsNone(locket.kind_named("telegram"))

    async def test_plans_drafts_and_json(self) -> None:
        reply = {"kind": locket.kind_named("reply"), "context": "Are you coming to lunch on Friday?"}
        asked = GenerateRequest(task=WritingTask.TEXT, max_new_tokens=40, **reply)
        async with await self.open(model=model()) as me:
            for said in ["sure, see you at 8", "no idea yet", "ok, at noon then"]:
                await me.record(Interaction(text=said, kind="reply", context="Are you coming?"))
            plans = await me.plan(asked)
            self.assertEqual(["yes", "no", "not sure yet"], [plan.points[0] for plan in plans])
            plan = locket.Plan(tone=locket.Tone.WARM, length=locket.Length.BRIEF, points=["yes", "bring cake"])
            written = await me.generate(GenerateRequest(task=WritingTask.TEXT, max_new_tokens=40, plan=plan, **reply))
            self.assertIn("cake", written.text.lower())
            self.assertEqual(plan.points, written.plan.points)
            drafts = [draft.text for draft in await me.drafts(asked, 3)]
            self.assertEqual(len(drafts), len(set(drafts)))
            self.assertGreater(len(drafts), 1)
            schema = {"type": "object", "properties": {"coming": {"type": "boolean"}}, "required": ["coming"]}
            request = GenerateRequest(task=WritingTask.TEXT, schema=json.dumps(schema), **reply)
            self.assertIn(json.loads((await me.generate(request)).text)["coming"], [True, False])
            with self.assertRaises(LocketError.BadInput):
                await me.generate(GenerateRequest(task=WritingTask.TEXT, schema="{", **reply))

    async def test_what_was_sent_is_counted(self) -> None:
        async with await self.open() as me:
            id = await me.sent("Sure, see you at eight!", Interaction(text="sure, at 8", kind="reply"))
            stats = await me.stats()
            self.assertEqual(({"reply": 1}, 1, None), (stats.texts, stats.heavily_edited, stats.length))
            await me.reset_learning()
            self.assertEqual((1, 0), ((await me.stats()).texts["reply"], (await me.stats()).heavily_edited))
            self.assertTrue(await me.forget(id))
            second = await me.record(Interaction(text="sure, at 9", kind="reply"))
            self.assertEqual([second], [r.id for r in await me.history()])

    async def test_a_length_that_is_asked_for(self) -> None:
        async with await self.open(model=model()) as me:
            await record_three(me)
            asked = [locket.Length.BRIEF, locket.Length.LONG]
            written = [await me.generate(text(max_new_tokens=160, length=length)) for length in asked]
            self.assertEqual(asked, [w.plan.length for w in written])
            brief, long = [len(w.text.split()) for w in written]
            self.assertLess(brief, long)

    async def test_cancel_in_mid_text(self) -> None:
        async with await self.open(model=model()) as me:
            whole = await me.generate(text())
            async for _ in me.stream(text()):
                break
            self.assertEqual(whole.text, (await me.generate(text())).text)
            begun = asyncio.Event()
            loop = asyncio.get_running_loop()

            class Listener(locket.TextListener):
                def on_chunks(self, chunks: list[locket.Chunk]) -> None:
                    loop.call_soon_threadsafe(begun.set)

            call = asyncio.create_task(me._engine.generate(text(max_new_tokens=160), Listener()))
            await begun.wait()
            call.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await call
            self.assertEqual(whole.text, (await me.generate(text())).text)

    async def test_fifty_at_once(self) -> None:
        async with await self.open(model=model()) as me:
            short = text(max_new_tokens=6, reasoning=False)
            alone = (await me.generate(short)).text
            all_of_them = await asyncio.gather(*[me.generate(short) for _ in range(50)])
            self.assertEqual([alone] * 50, [w.text for w in all_of_them])

    async def test_warm_after_a_restart(self) -> None:
        async with await self.open(model=model()) as me:
            await record_three(me)
            before = await me.generate(text())
        async with await self.open(model=model()) as me:
            await me.prewarm(text())
            after = await me.generate(text())
        self.assertGreater(after.reused_tokens, 0)
        self.assertEqual(before.text, after.text)

    async def test_would_not_fit(self) -> None:
        async with await self.open(model=model(max_memory_bytes=100_000_000)) as me:
            availability = await me.availability()
            self.assertTrue(availability.is_would_not_fit(), availability)
            self.assertEqual(100_000_000, availability.allowed_bytes)
            with self.assertRaises(LocketError.WouldNotFit):
                await me.generate(text())

    async def test_augment(self) -> None:
        async with await self.open(model=model()) as me:
            await record_three(me)
            items: set[int] = set()
            done = await me.augment(locket.AugmentRequest(count=2), lambda item, _: items.add(item))
            self.assertEqual({0, 1}, items)
            # A rejected text is retried up to three times.
            lost = 2 - len(done.kept)
            self.assertIn(done.refused, range(4 * lost, 4 * lost + 3 * len(done.kept) + 1))
            self.assertEqual(len(done.kept), sum(r.synthetic for r in await me.history()))


class Fake(Case):
    def script(self, **more: object) -> locket.FakeScript:
        said = {"text": "Slow, and worth it.", "availability": locket.Availability.NO_MODEL()}
        return locket.FakeScript(**(said | more))

    async def test_it_writes_what_it_is_told_to(self) -> None:
        me = locket.Locket.fake(self.script())
        *chunks, _ = [chunk async for chunk in me.stream(text())]
        self.assertEqual([Chunk(part=Part.TEXT, item=0, text=w) for w in ["Slow, ", "and ", "worth ", "it."]], chunks)

    async def test_it_keeps_records_as_a_store_does(self) -> None:
        me = locket.Locket.fake(self.script(items=["x"]))
        await record_three(me)
        self.assertEqual(1, len((await me.augment()).kept))
        export, history = await me.export(), await me.history()
        self.assertEqual(0, await me.import_export(export))
        self.assertTrue(await me.forget(history[0].id))
        self.assertFalse(await me.forget(history[0].id))
        self.assertEqual(history[1:3], await me.history())
        self.assertEqual(2, await me.import_export(export))

    async def test_each_priority_is_paused_alone(self) -> None:
        me = locket.Locket.fake(self.script(items=["a", "b"]))
        me.pause(locket.Priority.FOREGROUND)
        call = asyncio.create_task(me.generate(text()))
        self.assertEqual(2, len((await me.augment()).kept))
        self.assertFalse(call.done())
        me.resume(locket.Priority.FOREGROUND)
        self.assertEqual("Slow, and worth it.", (await call).text)
        me.pause(locket.Priority.BACKGROUND)
        waiting = asyncio.create_task(me.augment())
        self.assertEqual("Slow, and worth it.", (await me.generate(text())).text)
        self.assertFalse(waiting.done())
        me.resume()
        self.assertEqual(2, len((await waiting).kept))

    async def test_every_case_of_error(self) -> None:
        seen = set()
        for failure in locket.Failure:
            me = locket.Locket.fake(self.script(fails=failure))
            with self.assertRaises(LocketError) as thrown:
                await me.generate(text())
            name = type(thrown.exception).__name__
            self.assertEqual(failure.name.replace("_", ""), name.upper())
            seen.add(name)
        cases = {n for n, c in vars(LocketError).items() if isinstance(c, type) and issubclass(c, LocketError)}
        self.assertEqual(cases, seen)

    async def test_a_listener_that_throws(self) -> None:
        class Listener(locket.TextListener):
            def on_chunks(self, chunks: list[locket.Chunk]) -> None:
                raise ValueError("no more room")

        me = locket.Locket.fake(self.script())
        with self.assertRaisesRegex(LocketError.ListenerFailed, "no more room"):
            await me._engine.generate(text(), Listener())
        self.assertEqual("Slow, and worth it.", (await me.generate(text())).text)

    async def test_chunks_come_from_another_thread_and_arrive_on_the_loop(self) -> None:
        threads = set()
        async for _ in locket.Locket.fake(self.script()).stream(text()):
            threads.add(threading.current_thread())
        self.assertEqual({threading.main_thread()}, threads)


if __name__ == "__main__":
    unittest.main(verbosity=2)
