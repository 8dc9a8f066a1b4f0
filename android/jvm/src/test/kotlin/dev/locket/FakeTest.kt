package dev.locket

import dev.locket.ffi.AugmentRequest
import dev.locket.ffi.Availability
import dev.locket.ffi.FakeScript
import dev.locket.ffi.Failure
import dev.locket.ffi.Interaction
import dev.locket.ffi.LocketException
import dev.locket.ffi.Priority
import dev.locket.ffi.WritingTask
import kotlinx.coroutines.async
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeoutOrNull
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** Tests of the fake engine that apps use in their own tests. */
class FakeTest {
    private val script = FakeScript(text = "Slow, and worth it.", availability = Availability.Available(1uL), items = listOf("a", "b", "c"))

    @Test
    fun `it writes what it is told to`() = test {
        val locket = Locket.fake(script)
        assertEquals(Availability.Available(1uL), locket.availability())
        val all = locket.stream(Here.text()).toList()
        assertEquals(listOf("Slow, ", "and ", "worth ", "it."), all.dropLast(1).map { (it as Writing.Chunk).text })
        assertEquals("Slow, and worth it.", (all.last() as Writing.Finished).written.text)
        assertEquals("Slow, and worth it.", locket.review("k1"))
        assertEquals(5.toUByte(), locket.generate(Here.text().copy(task = WritingTask.RATING)).rating)
        assertEquals(listOf("a", "b", "c"), locket.predict().map { it.item })
        locket.record(Interaction("x", "mine"))
        assertEquals(2, locket.augment(AugmentRequest(count = 2u)).kept.size)
        assertEquals(listOf("x", "a", "b"), locket.history().map { it.interaction.item })
        locket.close()
        assertThrows(LocketException.Closed::class.java) { runBlocking { locket.history() } }
    }

    @Test
    fun `it keeps records as a store does`() = test {
        val locket = Locket.fake(script)
        locket.record(Interaction("x", "mine"))
        locket.record(Interaction("y", "mine too"))
        locket.augment(AugmentRequest(count = 1u))
        val export = locket.export()
        val history = locket.history()
        assertEquals(0uL, locket.importExport(export))
        assertTrue(locket.forget(history[0].id))
        assertEquals(listOf("y"), locket.history().map { it.interaction.item })
        assertEquals(2uL, locket.importExport(export))
        locket.close()
    }

    @Test
    fun `it can be slow, and cancelled`() = test {
        val locket = Locket.fake(script.copy(wordMs = 10_000u))
        assertNull(withTimeoutOrNull(50) { locket.generate(Here.text()) })
        locket.close()
    }

    @Test
    fun `each priority is paused alone`() = test {
        val locket = Locket.fake(script)
        locket.pause(Priority.FOREGROUND)
        val text = async { locket.generate(Here.text()) }
        assertEquals(2, locket.augment(AugmentRequest(count = 2u)).kept.size)
        assertTrue(text.isActive)
        locket.resume(Priority.FOREGROUND)
        assertEquals("Slow, and worth it.", text.await().text)
        locket.pause(Priority.BACKGROUND)
        assertNull(withTimeoutOrNull(50) { locket.augment() })
        assertEquals("Slow, and worth it.", locket.generate(Here.text()).text)
        locket.resume()
        assertEquals(3, locket.augment().kept.size)
        locket.close()
    }

    @Test
    fun `every case of error arrives as itself, even a panic`() {
        val seen = Failure.entries.map { failure ->
            val locket = Locket.fake(script.copy(fails = failure))
            val thrown = assertThrows(LocketException::class.java) { runBlocking { locket.generate(Here.text()) } }
            assertTrue(thrown.message!!.isNotEmpty())
            val simple = thrown::class.simpleName!!
            assertEquals(failure.name.replace("_", "").lowercase(), simple.lowercase())
            simple
        }
        // Every subclass of the exception was thrown once.
        assertEquals(LocketException::class.sealedSubclassNames(), seen.toSet())
    }

    private fun kotlin.reflect.KClass<LocketException>.sealedSubclassNames(): Set<String> =
        java.declaredClasses.filter { LocketException::class.java.isAssignableFrom(it) }.map { it.simpleName }.toSet()
}
