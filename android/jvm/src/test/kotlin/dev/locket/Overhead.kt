package dev.locket

import com.sun.management.OperatingSystemMXBean
import dev.locket.ffi.Availability
import dev.locket.ffi.Engine
import dev.locket.ffi.FakeScript
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.runBlocking
import java.lang.management.ManagementFactory

private val processor = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean::class.java)

/** Microseconds a token, of [words] with [wordMs] between them, by [clock] in nanoseconds: a bare listener, and a flow. */
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
    val listener = PieceListener { }
    return listOf(micros { engine.generate(request, listener) }, micros { locket.stream(request).collect { } })
}

/**
 * What a streamed token costs beyond its decoding, with a bare listener (the bindings' own cost) and with somebody who collects
 * a flow. Prints one line of JSON, medians in microseconds a token: elapsed, of an engine that writes 50,000 words at once, and
 * processor time, of one that writes a word each millisecond, so that each crosses alone.
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
