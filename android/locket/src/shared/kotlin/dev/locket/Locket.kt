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
import dev.locket.ffi.ImportListener
import dev.locket.ffi.ImportOptions
import dev.locket.ffi.ImportReport
import dev.locket.ffi.ImportSource
import dev.locket.ffi.Interaction
import dev.locket.ffi.MemoryLevel
import dev.locket.ffi.ModelConfig
import dev.locket.ffi.Part
import dev.locket.ffi.Plan
import dev.locket.ffi.Power
import dev.locket.ffi.PredictRequest
import dev.locket.ffi.Prediction
import dev.locket.ffi.Priority
import dev.locket.ffi.Record
import dev.locket.ffi.Stats
import dev.locket.ffi.Thermal
import dev.locket.ffi.Written
import dev.locket.ffi.WritingTask
import dev.locket.ffi.eraseStore
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.buffer
import kotlinx.coroutines.flow.callbackFlow

/**
 * The on-device engine for one user: their history, predictions of their next items, and text
 * generation in their style.
 *
 * It is safe to use from any thread. Every `suspend` function runs off the caller's thread.
 * Cancelling its coroutine stops the call between two tokens. Keep one instance per store for the
 * lifetime of the app.
 */
public class Locket(private val engine: EngineInterface) {
    /** Stores a text by the user and returns its id, for [forget]. The text is on disk when this returns. */
    public suspend fun record(interaction: Interaction): ULong = engine.record(interaction)

    /** Returns all records, real and synthetic, oldest first by their times. */
    public suspend fun history(): List<Record> = engine.history()

    /**
     * Permanently deletes the record with this [id] (`Record.id`).
     *
     * Deleting a text by the user also deletes all synthetic texts, since they were generated from
     * it. Returns whether the record existed.
     */
    public suspend fun forget(id: ULong): Boolean = engine.forget(id)

    /** Returns the items that the user is most likely to interact with next, best first. */
    public suspend fun predict(request: PredictRequest = PredictRequest()): List<Prediction> = engine.predict(request)

    /**
     * Returns a flow that generates text while it is collected: one [Writing.Chunk] per chunk, then
     * one [Writing.Finished].
     *
     * Cancelling the collection stops the generation.
     */
    public fun stream(request: GenerateRequest): Flow<Writing> = callbackFlow {
        val listener = ChunkListener { trySend(Writing.Chunk(it.part, it.text)) }
        val written = engine.generate(request, listener)
        trySend(Writing.Finished(written))
        close()
    }.buffer(Channel.UNLIMITED) // A slow collector never blocks the engine.

    /** Generates a text, a title or a rating and returns the complete result. */
    public suspend fun generate(request: GenerateRequest): Written = engine.generate(request)

    /** Generates up to [count] (at most 8) different texts for one request, the best first. */
    public suspend fun drafts(request: GenerateRequest, count: Int = 3): List<Written> =
        engine.drafts(request, count.coerceAtLeast(1).toUInt())

    /**
     * Proposes up to [count] (at most 4) different plans for a text: tone, length and points.
     *
     * The user chooses and edits one; `GenerateRequest.plan` has the text written to it.
     */
    public suspend fun plan(request: GenerateRequest, count: Int = 3): List<Plan> =
        engine.plan(request, count.coerceAtLeast(1).toUInt())

    /**
     * Stores a text that the user sent from [draft], a generated text. Returns its id, for [forget].
     *
     * The draft is not stored, only its number of words and the share of edited words.
     */
    public suspend fun sent(draft: String, interaction: Interaction): ULong = engine.sent(draft, interaction)

    /** Returns the statistics of the store and of sent drafts. */
    public suspend fun stats(): Stats = engine.stats()

    /** Forgets the draft of every sent text. The texts stay. */
    public suspend fun resetLearning(): Unit = engine.resetLearning()

    /** Returns a generated text by the user about [item], with the headline [title]. */
    public suspend fun review(item: String, title: String? = null): String =
        generate(GenerateRequest(item, WritingTask.TEXT, title = title)).text.orEmpty()

    /**
     * Generates synthetic texts for the predicted items, in the background.
     *
     * Calls of [generate] take precedence. [onChunk] receives the number of the item and the chunk of
     * text. If a call is stopped, the next call continues it.
     */
    public suspend fun augment(
        request: AugmentRequest = AugmentRequest(),
        onChunk: ((item: Int, text: String) -> Unit)? = null,
    ): Augmented = engine.augment(
        request,
        listener = onChunk?.let { tell -> ChunkListener { tell(it.item.toInt(), it.text) } },
    )

    /**
     * Loads the data that a text like [request] needs, so that generation starts at once.
     *
     * Call it when the input field gets the focus.
     */
    public suspend fun prewarm(request: GenerateRequest): Unit = engine.prewarm(request)

    /** Returns whether text generation is available, and the reason if it is not. Loads nothing. */
    public suspend fun availability(): Availability = engine.availability()

    /** Returns the devices that the model runs on and which of its parts are in memory. */
    public suspend fun backend(): Backend = engine.backend()

    /** Sets the model for all later calls. */
    public suspend fun useModel(model: ModelConfig): Unit = engine.useModel(model)

    /** Returns all data in the store as JSON, for its owner. */
    public suspend fun export(): String = engine.export()

    /** Adds the records of an [export] that the store lacks. Returns the number of new records. */
    public suspend fun importExport(export: String): ULong = engine.importExport(export)

    /**
     * Adds the user's own texts from mail, chats, notes and tables that the store lacks: all of them or
     * none.
     *
     * [onProgress] receives the number of bytes done and in all, on a thread of the call.
     */
    public suspend fun importWriting(
        source: ImportSource,
        options: ImportOptions = ImportOptions(),
        onProgress: ((done: ULong, total: ULong) -> Unit)? = null,
    ): ImportReport = engine.importWriting(source, options, onProgress?.let(::ProgressListener))

    /** Returns the report of [importWriting] without a change of the store. */
    public suspend fun previewWriting(
        source: ImportSource,
        options: ImportOptions = ImportOptions(),
        onProgress: ((done: ULong, total: ULong) -> Unit)? = null,
    ): ImportReport = engine.previewWriting(source, options, onProgress?.let(::ProgressListener))

    /**
     * Returns the opaque id of a recipient, for `audience` of records and requests.
     *
     * White space around the [address] and letter case do not matter.
     */
    public suspend fun audience(address: String): String = engine.audience(address)

    /** Stops every call and deletes all stored data of the user. Later calls fail. */
    public suspend fun erase(): Unit = engine.erase()

    /**
     * Stops every call, closes the store and releases all memory.
     *
     * Later calls fail with `LocketException.Closed`.
     */
    public suspend fun close(): Unit = engine.shutdown()

    /** Releases memory. Returns without waiting. */
    public fun releaseMemory(level: MemoryLevel): Unit = engine.releaseMemory(level)

    /**
     * Pauses decoding between two tokens until [resume].
     *
     * With a [priority], only calls of that priority pause.
     */
    public fun pause(priority: Priority? = null): Unit = engine.pause(priority)

    /** Resumes decoding after [pause]. With a [priority], only calls of that priority resume. */
    public fun resume(priority: Priority? = null): Unit = engine.resume(priority)

    /** Sets whether calls that start later may use a GPU. */
    public fun allowGpu(allowed: Boolean): Unit = engine.allowGpu(allowed)

    /** Sets the device's thermal state and power source. */
    public fun setConditions(thermal: Thermal, power: Power): Unit = engine.setConditions(thermal, power)

    public companion object {
        /**
         * Opens the user's store with its [key] of 32 bytes.
         *
         * Creates the store if it does not exist.
         */
        public suspend fun open(config: EngineConfig, key: ByteArray): Locket = Locket(Engine.open(config, key))

        /**
         * Deletes all data of the store in [storeDir] without its key, for a store with a lost key.
         *
         * No [Locket] may have the store open.
         */
        public suspend fun erase(storeDir: String): Unit = eraseStore(storeDir)

        /**
         * Returns a fake for the tests of an app: it uses no files and no model, and its output is
         * the script's.
         */
        public fun fake(script: FakeScript = FakeScript(availability = Availability.Available(0uL))): Locket =
            Locket(Engine.fake(script))
    }
}

/** Passes the progress of an import to a function. */
private class ProgressListener(private val tell: (done: ULong, total: ULong) -> Unit) : ImportListener {
    override fun onProgress(done: ULong, total: ULong): Unit = tell(done, total)
}

/** An element of [Locket.stream]. */
public sealed interface Writing {
    /** The next chunk of text. It holds whole characters. */
    public data class Chunk(val part: Part, val text: String) : Writing

    /** The last element: the complete result. */
    public data class Finished(val written: Written) : Writing
}
