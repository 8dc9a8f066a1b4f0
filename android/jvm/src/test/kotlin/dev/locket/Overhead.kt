package dev.locket

import dev.locket.ffi.Availability
import dev.locket.ffi.Engine
import dev.locket.ffi.FakeScript
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.runBlocking
import kotlin.time.measureTime

private const val WORDS = 50_000

/**
 * What a streamed token costs beyond its decoding, in microseconds: an engine that writes [WORDS] words at once, alone, with a bare
 * listener (the bindings' own cost), and with somebody who collects a flow. Prints one line of JSON: medians of 15.
 */
public fun main() {
    val script = FakeScript(text = "word ".repeat(WORDS), availability = Availability.NoModel)
    val request = Here.text(reasoning = false)
    val engine = Engine.fake(script)
    val locket = Locket(engine)
    val listener = PieceListener { }
    suspend fun micros(what: suspend () -> Unit): Double {
        repeat(5) { what() }
        val all = List(15) { (measureTime { what() } - measureTime { engine.generate(request) }).inWholeNanoseconds }
        return all.sorted()[7] / 1e3 / WORDS
    }
    runBlocking {
        val listened = micros { engine.generate(request, listener) }
        val streamed = micros { locket.stream(request).collect { } }
        println("""{"language": "kotlin", "listener": %.2f, "stream": %.2f}""".format(listened, streamed))
        locket.close()
    }
}
