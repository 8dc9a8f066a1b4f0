package dev.locket

import dev.locket.ffi.Availability
import dev.locket.ffi.FakeScript
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.runBlocking
import kotlin.time.measureTime

private const val WORDS = 50_000

/**
 * What a streamed token costs beyond its decoding: an engine that writes [WORDS] words at once, with and without somebody who
 * collects them. Prints one line of JSON.
 */
public fun main() {
    val script = FakeScript(text = "word ".repeat(WORDS), availability = Availability.NoModel)
    val locket = Locket.fake(script)
    val request = Here.text(reasoning = false)
    suspend fun silent() = measureTime { locket.write(request) }
    suspend fun streamed() = measureTime { locket.stream(request).collect { } }
    runBlocking {
        repeat(3) { silent(); streamed() }
        val micros = List(9) { (streamed() - silent()).inWholeNanoseconds / 1e3 / WORDS }.sorted()
        println("""{"language": "kotlin", "microseconds_per_token": ${micros[4]}, "least": ${micros[0]}, "most": ${micros[8]}}""")
        locket.close()
    }
}
