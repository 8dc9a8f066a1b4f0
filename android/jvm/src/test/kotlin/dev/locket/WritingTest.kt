package dev.locket

import dev.locket.Here.recordThree
import dev.locket.ffi.AugmentRequest
import dev.locket.ffi.Cancellation
import dev.locket.ffi.Chunk
import dev.locket.ffi.Engine
import dev.locket.ffi.GenerateRequest
import dev.locket.ffi.Interaction
import dev.locket.ffi.Kind
import dev.locket.ffi.Length
import dev.locket.ffi.LocketException
import dev.locket.ffi.MemoryLevel
import dev.locket.ffi.Part
import dev.locket.ffi.Plan
import dev.locket.ffi.Power
import dev.locket.ffi.TextListener
import dev.locket.ffi.Thermal
import dev.locket.ffi.Tone
import dev.locket.ffi.WritingTask
import dev.locket.ffi.kindNamed
import java.nio.file.Path
import java.util.concurrent.atomic.AtomicInteger
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** Tests of text generation with the real model. */
class WritingTest {
    @TempDir
    lateinit var store: Path

    private fun withLocket(body: suspend CoroutineScope.(Locket) -> Unit) = test {
        val locket = Here.open(store, Here.model())
        try {
            locket.recordThree()
            body(locket)
        } finally {
            locket.close()
        }
    }

    @Test
    fun `a stream is the text in chunks, the plan first`() = withLocket { locket ->
        val all = locket.stream(Here.text()).toList()
        val finished = all.last() as Writing.Finished
        val chunks = all.dropLast(1).map { it as Writing.Chunk }
        assertTrue(chunks.size > 10, "only ${chunks.size} chunks")
        assertEquals(Part.PLAN, chunks.first().part)
        assertEquals(chunks.map { it.part }.distinct(), listOf(Part.PLAN, Part.TEXT))
        val text = chunks.filter { it.part == Part.TEXT }.joinToString("") { it.text }
        // A truncated text ends with its last complete sentence.
        assertTrue(text.trim().startsWith(finished.written.text!!), "$text / ${finished.written.text}")
        assertTrue(finished.written.plan!!.stars in 1.toUByte()..5.toUByte())
        assertEquals(finished.written.text, locket.generate(Here.text()).text, "streaming changes nothing")
    }

    @Test
    fun `who stops collecting stops the writing, and the next text is whole`() = withLocket { locket ->
        val whole = locket.generate(Here.text())
        assertEquals(3, locket.stream(Here.text()).take(3).toList().size)
        assertEquals(whole.text, locket.generate(Here.text()).text)
        val chunks = AtomicInteger()
        val job = async {
            locket.stream(Here.text(maxNewTokens = 160u)).collect { if (chunks.incrementAndGet() == 5) throw CancellationException() }
        }
        job.join()
        assertEquals(5, chunks.get())
        assertEquals(whole.text, locket.generate(Here.text()).text)
    }

    @Test
    fun `replies, mails, rewrites and a kind of the app's own`() = withLocket { locket ->
        val mail = "Hi Ada,\n\nthe parts came.\n\nBest,\nBen"
        locket.record(Interaction(text = mail, title = "Parts", kind = "email", audience = "ada"))
        locket.record(Interaction(text = "sure, see you at 8", kind = "reply", context = "Are you coming?"))
        val stored = locket.history().map { it.interaction }
        assertEquals(mail, stored.single { it.kind == "email" }.text)
        assertEquals("Are you coming?", stored.single { it.kind == "reply" }.context)
        val toast = Kind("toast", "wedding toast", "wedding toasts", title = "Couple", paragraphs = true)
        val plain = GenerateRequest(task = WritingTask.TEXT, maxNewTokens = 40u)
        val requests = listOf(
            plain.copy(kind = kindNamed("reply"), context = "Lunch on Friday?", gist = "yes, at noon"),
            plain.copy(kind = kindNamed("email"), title = "Screws", audience = "ada", gist = "screws are missing"),
            plain.copy(kind = kindNamed("note"), draft = "buy bread. buy tea. call the shop about the kettle."),
            plain.copy(kind = toast, title = "Ada and Carl"),
        )
        for (request in requests) {
            val written = locket.generate(request)
            assertTrue(written.text!!.isNotBlank() && '¶' !in written.text!!, "$request: $written")
            assertNull(written.plan)
        }
        assertNull(kindNamed("telegram"))
    }

    @Test
    fun `plans, drafts and JSON`() = withLocket { locket ->
        for (said in listOf("sure, see you at 8", "no idea yet", "ok, at noon then")) {
            locket.record(Interaction(text = said, kind = "reply", context = "Are you coming?"))
        }
        val reply = GenerateRequest(
            task = WritingTask.TEXT, kind = kindNamed("reply"), context = "Are you coming to lunch on Friday?", maxNewTokens = 40u,
        )
        assertEquals(listOf("yes", "no", "not sure yet"), locket.plan(reply).map { it.points.first() })
        val plan = Plan(tone = Tone.WARM, length = Length.BRIEF, points = listOf("yes", "bring cake"))
        val written = locket.generate(reply.copy(plan = plan))
        assertTrue("cake" in written.text!!.lowercase(), "$written")
        val drafts = locket.drafts(reply).map { it.text }
        assertEquals(drafts.distinct(), drafts)
        assertTrue(drafts.size > 1)
        val schema = """{"type":"object","properties":{"coming":{"type":"boolean"}},"required":["coming"]}"""
        val json = locket.generate(reply.copy(schema = schema)).text!!
        assertTrue(Regex("""\{\s*"coming"\s*:\s*(true|false)\s*\}""").matches(json), json)
        val id = locket.sent("Sure, see you at eight!", Interaction(text = "sure, at 8", kind = "reply"))
        assertEquals(1uL, locket.stats().heavilyEdited)
        locket.resetLearning()
        assertEquals(0uL, locket.stats().heavilyEdited)
        assertTrue(locket.forget(id))
    }

    @Test
    fun `a length that is asked for`() = withLocket { locket ->
        val asked = listOf(Length.BRIEF, Length.LONG)
        val written = asked.map { locket.generate(Here.text(maxNewTokens = 160u, reasoning = false).copy(length = it)) }
        assertEquals(asked, written.map { it.plan!!.length })
        val (brief, long) = written.map { it.text!!.split(" ").size }
        assertTrue(brief < long, "$brief, $long")
        val parts = locket.stream(Here.text(reasoning = false).copy(length = Length.BRIEF)).toList()
            .filterIsInstance<Writing.Chunk>().map { it.part }.distinct()
        assertEquals(listOf(Part.PLAN, Part.TEXT), parts)
    }

    @Test
    fun `a cancelled coroutine frees the engine at once`() = withLocket { locket ->
        locket.pause()
        val waiting = launch { locket.generate(Here.text()) }
        delay(50)
        waiting.cancelAndJoin()
        locket.resume()
        assertEquals(4, locket.generate(Here.text(maxNewTokens = 4u, reasoning = false)).tokens.toInt())
    }

    @Test
    fun `a handle stops a call from anywhere`() = test {
        Engine.open(Here.config(store, Here.model()), Here.key).use { engine ->
            val stop = Cancellation()
            val listener = object : TextListener {
                override fun onChunks(chunks: List<Chunk>) = stop.cancel()
            }
            assertThrows(LocketException.Cancelled::class.java) {
                runBlocking { engine.generate(Here.text(), listener, stop) }
            }
            assertTrue(stop.isCancelled())
            assertTrue(engine.generate(Here.text(maxNewTokens = 4u)).tokens > 0u)
            engine.shutdown()
        }
    }

    @Test
    fun `a listener that throws stops its call and no other`() = test {
        Engine.open(Here.config(store, Here.model()), Here.key).use { engine ->
            val listener = object : TextListener {
                override fun onChunks(chunks: List<Chunk>): Unit = error("no more room on the screen")
            }
            val thrown = assertThrows(LocketException.ListenerFailed::class.java) {
                runBlocking { engine.generate(Here.text(), listener) }
            }
            assertTrue("no more room" in thrown.message!!, thrown.message)
            assertTrue(engine.generate(Here.text(maxNewTokens = 4u)).tokens > 0u)
            engine.shutdown()
        }
    }

    @Test
    fun `fifty calls at once`() = withLocket { locket ->
        val alone = locket.generate(Here.text(maxNewTokens = 8u, reasoning = false)).text
        val all = List(50) { async { locket.generate(Here.text(maxNewTokens = 8u, reasoning = false)).text } }.awaitAll()
        assertEquals(List(50) { alone }, all)
    }

    @Test
    fun `a text after a restart begins with what was read before`() = test {
        val request = Here.text(maxNewTokens = 20u)
        val first = Here.open(store, Here.model())
        first.recordThree()
        val before = first.generate(request)
        first.close()
        val second = Here.open(store, Here.model())
        second.prewarm(request)
        val after = second.generate(request)
        second.close()
        assertTrue(after.reusedTokens > 0u, "nothing of ${after.promptTokens} tokens was kept")
        assertEquals(before.text, after.text)
    }

    @Test
    fun `memory is given back and taken again`() = withLocket { locket ->
        val text = locket.generate(Here.text(maxNewTokens = 12u)).text
        // The engine's thread updates this state after it finishes the call.
        while (!locket.backend().decoderLoaded) delay(5)
        assertTrue(locket.backend().modelLoaded)
        locket.releaseMemory(MemoryLevel.KV)
        while (locket.backend().decoderLoaded) delay(5)
        assertTrue(locket.backend().modelLoaded)
        locket.releaseMemory(MemoryLevel.MODEL)
        while (locket.backend().modelLoaded) delay(5)
        locket.setConditions(Thermal.CRITICAL, Power.LOW)
        assertTrue(locket.generate(Here.text(maxNewTokens = 12u)).text!!.isNotEmpty())
        locket.setConditions(Thermal.NOMINAL, Power.CHARGING)
        assertEquals(text, locket.generate(Here.text(maxNewTokens = 12u)).text)
        val backend = locket.backend()
        assertTrue(backend.devices.any { !it.gpu })
        assertTrue(backend.gpuLayers > 0u || backend.reasonNoGpu != null)
    }

    @Test
    fun `synthetic texts come in the background, with a foreground text between them`() = withLocket { locket ->
        val items = mutableSetOf<Int>()
        val augmentation = async {
            locket.augment(AugmentRequest(count = 2u)) { item, _ -> synchronized(items) { items += item } }
        }
        while (synchronized(items) { items.isEmpty() }) delay(5)
        assertTrue(locket.generate(Here.text(maxNewTokens = 4u)).tokens > 0u)
        val done = augmentation.await()
        assertEquals(0u, done.unfinished)
        // A rejected text is retried up to three times.
        val lost = 2 - done.kept.size
        assertTrue(done.refused.toInt() in 4 * lost..4 * lost + 3 * done.kept.size, "$done")
        val history = locket.history()
        assertEquals(done.kept.size, history.count { it.synthetic })
        assertTrue(history.filter { it.synthetic }.all { it.plan != null })
        assertFalse("k9" in done.kept.map { it.interaction.item }, "nothing is invented on what was met")
    }

    @Test
    fun `what a deadline leaves is a whole sentence or an error that says so`() = withLocket { locket ->
        try {
            val written = locket.generate(Here.text(maxNewTokens = 160u).copy(deadlineMs = 1500uL))
            assertTrue(written.text!!.isEmpty() || written.text!!.last() in ".!?\"')" || written.tokens < 160u)
        } catch (e: LocketException.Deadline) {
            assertTrue("deadline" in e.message!!)
        }
        assertThrows(LocketException.Deadline::class.java) {
            runBlocking { locket.generate(Here.text().copy(deadlineMs = 0uL)) }
        }
        assertTrue(locket.generate(Here.text(maxNewTokens = 4u)).tokens > 0u)
    }
}
