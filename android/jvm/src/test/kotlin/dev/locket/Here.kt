package dev.locket

import dev.locket.ffi.EngineConfig
import dev.locket.ffi.GenerateRequest
import dev.locket.ffi.Interaction
import dev.locket.ffi.ModelConfig
import dev.locket.ffi.WritingTask
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assumptions.assumeTrue
import java.io.File
import java.nio.file.Path
import java.security.MessageDigest

/** Runs a test's body and returns `Unit`, since JUnit accepts only functions without a result. */
internal fun test(body: suspend CoroutineScope.() -> Unit): Unit = runBlocking(Dispatchers.Default) { body() }

/** Fixtures for the tests. `make kotlin` sets the paths. */
internal object Here {
    private fun setting(name: String): String? = System.getenv(name)?.takeIf { it.isNotEmpty() }

    val pack: File = File(checkNotNull(setting("LOCKET_TEST_PACK")) { "run these tests with: make kotlin" })
    private val adapter: File = File(checkNotNull(setting("LOCKET_TEST_ADAPTER")))
    private val modelFile: File? = setting("LOCKET_TEST_MODEL")?.let(::File)?.takeIf { it.exists() }

    /**
     * Returns the configuration of the default model.
     *
     * If the file is missing, the test is ignored, or fails if `LOCKET_REQUIRE` is set.
     */
    fun model(maxMemoryBytes: ULong? = null): ModelConfig {
        val file = modelFile
        check(file != null || setting("LOCKET_REQUIRE") == null) { "the model is required here and missing" }
        assumeTrue(file != null, "needs the default model")
        return ModelConfig(file!!.path, adapter.path, maxMemoryBytes = maxMemoryBytes)
    }

    val key: ByteArray get() = ByteArray(32) { it.toByte() }

    fun config(store: Path, model: ModelConfig? = null): EngineConfig =
        EngineConfig(store.toString(), packPath = pack.path, model = model)

    suspend fun open(store: Path, model: ModelConfig? = null): Locket = Locket.open(config(store, model), key)

    /** Records three texts by one author, about tea, on items of the sample. */
    suspend fun Locket.recordThree() {
        record(Interaction("k9", "The tea of the week goes through it as well, slowly. I like slow.", title = "Slow", rating = 5f))
        record(Interaction("k4", "Loud. My tea and I left the kitchen until it was done.", title = "Loud", rating = 2f))
        record(Interaction("k3", "A board, a knife, bread, tea. Nothing creaks.", title = "Good board", rating = 4f))
    }

    fun text(maxNewTokens: UInt = 60u, reasoning: Boolean = true): GenerateRequest = GenerateRequest(
        "k20", WritingTask.TEXT, itemTitle = "Tea Strainer", title = "Catches every leaf",
        reasoning = reasoning, maxNewTokens = maxNewTokens,
    )

    fun sha256(file: File): String = MessageDigest.getInstance("SHA-256").digest(file.readBytes())
        .joinToString("") { "%02x".format(it) }
}
