package dev.locket

import dev.locket.ffi.AugmentRequest
import dev.locket.ffi.Augmented
import dev.locket.ffi.Availability
import dev.locket.ffi.Backend
import dev.locket.ffi.Engine
import dev.locket.ffi.EngineConfig
import dev.locket.ffi.EngineInterface
import dev.locket.ffi.FakeScript
import dev.locket.ffi.GenerateRequest
import dev.locket.ffi.Interaction
import dev.locket.ffi.MemoryLevel
import dev.locket.ffi.ModelConfig
import dev.locket.ffi.Power
import dev.locket.ffi.PredictRequest
import dev.locket.ffi.Prediction
import dev.locket.ffi.Priority
import dev.locket.ffi.Record
import dev.locket.ffi.Thermal
import dev.locket.ffi.Written
import dev.locket.ffi.WritingTask
import dev.locket.ffi.eraseStore
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.buffer
import kotlinx.coroutines.flow.callbackFlow

/**
 * One person's Locket: what they wrote, what they would meet next, and new text in their voice, all on this device.
 *
 * Safe on any thread; every `suspend` function runs off the caller's thread, and cancelling its coroutine stops it between two
 * tokens. Keep one per store, for as long as the app runs.
 */
public class Locket(private val engine: EngineInterface) {
    /** Keeps a text that the person wrote. When this returns, it is on disk. */
    public suspend fun record(interaction: Interaction): Unit = engine.record(interaction)

    /** Everything recorded, real and synthetic, oldest first, by their times. */
    public suspend fun history(): List<Record> = engine.history()

    /**
     * Removes the record with this [id] (`Record.id`) for good, and the synthetic texts that rest on it. Returns whether there
     * was one.
     */
    public suspend fun forget(id: ULong): Boolean = engine.forget(id)

    /** The items that the person would likely meet next, best first. */
    public suspend fun predict(request: PredictRequest = PredictRequest()): List<Prediction> = engine.predict(request)

    /**
     * Writes while it is collected: first [Writing.Token] for token, then one [Writing.Finished]. Whoever stops collecting
     * stops the writing.
     */
    public fun stream(request: GenerateRequest): Flow<Writing> = callbackFlow {
        val phases = request.phases()
        val listener = PieceListener { piece ->
            trySend(Writing.Token(phases.getOrElse(piece.phase.toInt()) { Phase.TEXT }, piece.text))
        }
        val written = engine.generate(request, listener)
        trySend(Writing.Finished(written))
        close()
    }.buffer(Channel.UNLIMITED) // The engine never waits for the screen.

    /** Writes a text, a title or a rating and returns it whole. */
    public suspend fun write(request: GenerateRequest): Written = engine.generate(request)

    /** The next text by the person on [item], titled [title]. */
    public suspend fun review(item: String, title: String? = null): String =
        write(GenerateRequest(item, WritingTask.TEXT, title = title)).text.orEmpty()

    /**
     * Writes synthetic texts for the items predicted next, in the background: [write] goes first meanwhile. [onPiece] is told
     * of which item something was written. A call that was stopped is continued by the next one.
     */
    public suspend fun augment(
        request: AugmentRequest = AugmentRequest(),
        onPiece: ((item: Int, text: String) -> Unit)? = null,
    ): Augmented = engine.augment(
        request,
        listener = onPiece?.let { tell -> PieceListener { tell(it.item.toInt(), it.text) } },
    )

    /** Loads what a text like [request] will need, so that it begins at once: call it when the field gets the focus. */
    public suspend fun prewarm(request: GenerateRequest): Unit = engine.prewarm(request)

    /** Whether a text can be written here, and if not, why. Loads nothing. */
    public suspend fun availability(): Availability = engine.availability()

    /** What the model runs on, and what of it is in memory. */
    public suspend fun backend(): Backend = engine.backend()

    /** Takes a model from the next call on. */
    public suspend fun useModel(model: ModelConfig): Unit = engine.useModel(model)

    /** Everything the store holds, for its owner: JSON. */
    public suspend fun export(): String = engine.export()

    /** Keeps what an [export] holds and the store does not. Returns the number of new records. */
    public suspend fun importExport(export: String): ULong = engine.importExport(export)

    /** Stops every call and deletes everything that was kept of the person. Nothing can be called afterwards. */
    public suspend fun erase(): Unit = engine.erase()

    /** Stops every call, closes the store and gives all memory back. Later calls fail with `LocketException.Closed`. */
    public suspend fun close(): Unit = engine.shutdown()

    /** Gives memory back, without waiting. */
    public fun releaseMemory(level: MemoryLevel): Unit = engine.releaseMemory(level)

    /** Stops decoding between two tokens until [resume]; with a [priority] only its calls, and the others go on. */
    public fun pause(priority: Priority? = null): Unit = engine.pause(priority)

    /** Goes on after [pause]; with a [priority] only its calls. */
    public fun resume(priority: Priority? = null): Unit = engine.resume(priority)

    /** Whether calls that begin later may use a GPU. */
    public fun allowGpu(allowed: Boolean): Unit = engine.allowGpu(allowed)

    /** Sets how the device is. */
    public fun setConditions(thermal: Thermal, power: Power): Unit = engine.setConditions(thermal, power)

    public companion object {
        /** Opens the person's store with its [key] of 32 bytes, making it if there is none. */
        public suspend fun open(config: EngineConfig, key: ByteArray): Locket = Locket(Engine.open(config, key))

        /**
         * Deletes everything that the store in [storeDir] holds, without its key: for a store whose key is lost. To be called
         * while no [Locket] has it open.
         */
        public suspend fun erase(storeDir: String): Unit = eraseStore(storeDir)

        /** For tests of apps: no files, no model, and it writes what it is told to. */
        public fun fake(script: FakeScript = FakeScript(availability = Availability.Available(0uL))): Locket =
            Locket(Engine.fake(script))
    }
}

/** What a [Locket.stream] brings. */
public sealed interface Writing {
    /** A new piece of text, whole characters. */
    public data class Token(val phase: Phase, val text: String) : Writing

    /** The last: everything that was written. */
    public data class Finished(val written: Written) : Writing
}

/** What a piece belongs to. */
public enum class Phase {
    /** The plan in front of it, if one was asked for. */
    PLAN,

    /** A review. */
    TEXT,

    /** A headline. */
    TITLE,

    /** A rating. */
    RATING,
}

private fun GenerateRequest.phases(): List<Phase> {
    val wanted = when (task) {
        WritingTask.TEXT -> Phase.TEXT
        WritingTask.TITLE -> Phase.TITLE
        WritingTask.RATING -> Phase.RATING
    }
    // A length that is asked for is planned.
    val planned = reasoning || (task == WritingTask.TEXT && length != null)
    return if (planned) listOf(Phase.PLAN, wanted) else listOf(wanted)
}
