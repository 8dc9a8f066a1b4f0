package dev.locket

import com.sun.management.OperatingSystemMXBean
import dev.locket.ffi.Availability
import dev.locket.ffi.Engine
import dev.locket.ffi.FakeScript
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.runBlocking
import java.lang.management.ManagementFactory

private val processor = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean::class.java)

/**
 * Returns the overhead in microseconds per token for a bare listener and for a flow.
 *
 * The fake engine writes [words] words with [wordMs] milliseconds between them. [clock] returns
 * nanoseconds.
 */
private suspend fun overhead(words: Int, wordMs: Int, clock: () -> Long, rounds: Int): List<Double> {
    val script = FakeScript(text = "word ".repeat(words), wordMs = wordMs.toUInt(), availability = Availability.NoModel)
    val request = Here.text(reasoning = false)
    val engine = Engine.fake(script)
    val locket = Locket(engine)
    suspend fun once(what: suspend () -> Unit): Long {
        val begin = clock()
        what()
        return clock() - begin
    }
    suspend fun micros(what: suspend () -> Unit): Double {
        repeat(rounds / 3) { what() }
        val all = List(rounds) { once(what) - once { engine.generate(request) } }
        return all.sorted()[rounds / 2] / 1e3 / words
    }
    val listener = ChunkListener { }
    return listOf(micros { engine.generate(request, listener) }, micros { locket.stream(request).collect { } })
}

/**
 * Measures the cost of streaming one token, decoding excluded.
 *
 * It measures a bare listener, which is the cost of the bindings alone, and the collector of a
 * flow. It prints one line of JSON with medians in microseconds per token. "elapsed" is the wall
 * time with an engine that writes 50,000 words at once. "processor, alone" is the processor time
 * with an engine that writes one word per millisecond, so that each word crosses the binding
 * separately.
 */
public fun main(): Unit = runBlocking {
    val (listener, stream) = overhead(50_000, 0, System::nanoTime, 15)
    val (listenerAlone, streamAlone) = overhead(2_000, 1, processor::getProcessCpuTime, 9)
    val pair = """{"listener": %.2f, "stream": %.2f}"""
    println(
        """{"language": "kotlin", "elapsed": $pair, "processor, alone": $pair}"""
            .format(listener, stream, listenerAlone, streamAlone),
    )
}
