package dev.locket

import dev.locket.ffi.Availability
import dev.locket.ffi.FakeScript
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.io.File
import java.nio.file.Path

/** Checks that 1,000 engines leak no file handles, threads or memory. */
class LeakTest {
    @TempDir
    lateinit var dir: Path

    private fun handles(): Int = File("/proc/self/fd").list()!!.size
    private fun threads(): Int = File("/proc/self/task").list()!!.size
    private fun resident(): Long = File("/proc/self/status").readLines()
        .first { it.startsWith("VmRSS:") }.filter(Char::isDigit).toLong() * 1024

    private fun check(times: Int, once: suspend () -> Unit) = runBlocking {
        repeat(100) { once() }
        System.gc()
        val before = Triple(handles(), threads(), resident())
        repeat(times) { once() }
        System.gc()
        val after = Triple(handles(), threads(), resident())
        println("$times times open and close: (handles, threads, bytes) $before -> $after")
        assertTrue(after.first <= before.first + 8, "file handles: $before -> $after")
        assertTrue(after.second <= before.second + 8, "threads: $before -> $after")
        assertTrue(after.third < before.third + (128 shl 20), "memory: $before -> $after")
    }

    @Test
    fun `stores and packs`() = check(1_000) { Here.open(dir).close() }

    @Test
    fun `calls with listeners`() {
        val locket = Locket.fake(FakeScript(availability = Availability.NoModel))
        check(1_000) { locket.stream(Here.text()).collect {} }
        runBlocking { locket.close() }
    }

    @Test
    fun `models`() {
        val model = Here.model()
        runBlocking {
            repeat(3) { Here.open(dir, model).run { generate(Here.text(maxNewTokens = 1u)); close() } }
            val before = handles() to threads()
            repeat(10) { Here.open(dir, model).run { generate(Here.text(maxNewTokens = 1u)); close() } }
            assertTrue(handles() <= before.first + 4 && threads() <= before.second + 8, "$before -> ${handles() to threads()}")
        }
    }
}
