package dev.locket

import dev.locket.Here.recordThree
import dev.locket.ffi.Availability
import dev.locket.ffi.EngineConfig
import dev.locket.ffi.ImportOptions
import dev.locket.ffi.ImportSource
import dev.locket.ffi.Interaction
import dev.locket.ffi.Link
import dev.locket.ffi.LocketException
import dev.locket.ffi.LogLevel
import dev.locket.ffi.Logger
import dev.locket.ffi.ModelConfig
import dev.locket.ffi.PredictRequest
import dev.locket.ffi.generateKey
import dev.locket.ffi.setLogger
import dev.locket.ffi.updatePack
import dev.locket.ffi.version
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.io.File
import java.nio.file.Path
import java.util.concurrent.ConcurrentLinkedQueue

/** Tests of persistence and of rejected calls. */
class StoreTest {
    @TempDir
    lateinit var dir: Path

    private inline fun <reified E : Throwable> fails(crossinline body: suspend () -> Unit): E =
        assertThrows(E::class.java) { runBlocking { body() } }

    @Test
    fun `a record is there after a restart`() = test {
        val first = Here.open(dir)
        first.recordThree()
        val history = first.history()
        assertEquals(listOf("k9", "k4", "k3"), history.map { it.interaction.item })
        first.close()
        val second = Here.open(dir)
        assertEquals(history, second.history())
        assertTrue("\"locket-export\"" in second.export())
        second.close()
    }

    @Test
    fun `own messages of a chat are imported once`() = test {
        val chat = dir.resolve("chat.txt").toFile()
        chat.writeText("12/05/26, 14:03 - Ada: Are you coming?\n12/05/26, 14:05 - Ben: sure, see you at 8\n")
        val locket = Here.open(dir.resolve("store"))
        val source = ImportSource.Path(chat.path)
        val options = ImportOptions(me = listOf("Ben"))
        val steps = ConcurrentLinkedQueue<Pair<ULong, ULong>>()
        val planned = locket.previewWriting(source, options) { done, total -> steps += done to total }
        assertEquals(1uL, planned.taken)
        assertEquals("sure, see you at 8", planned.examples.single().text)
        assertTrue(steps.last().let { it.first == it.second })
        assertEquals(emptyList<Any>(), locket.history())
        assertEquals(1uL, locket.importWriting(source, options).taken)
        assertEquals(1uL, locket.importWriting(ImportSource.Content(chat.readBytes()), options).known)
        val interaction = locket.history().single().interaction
        assertEquals("Are you coming?", interaction.context)
        assertEquals(locket.audience("ADA"), interaction.audience)
        fails<LocketException.BadInput> { locket.importWriting(source) }
        locket.close()
    }

    @Test
    fun `a signed delta turns an older pack into the newer one`() = test {
        val older = Here.pack.resolveSibling("older.pack")
        val delta = Here.pack.resolveSibling("update.delta")
        val public = Here.pack.resolveSibling("release.public").readText().trim().hexToByteArray()
        val mine = older.copyTo(dir.resolve("my.pack").toFile())
        val forged = dir.resolve("forged.delta").toFile()
        // Public key of the first test vector of RFC 8032.
        val somebodyElse = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a".hexToByteArray()
        forged.writeBytes(delta.readBytes().also { it[it.size / 2] = (it[it.size / 2] + 1).toByte() })
        fails<LocketException.UpdateRefused> { updatePack(mine.path, forged.path, public) }
        fails<LocketException.UpdateRefused> { updatePack(mine.path, delta.path, somebodyElse) }
        fails<LocketException.BadInput> { updatePack(mine.path, delta.path, ByteArray(5)) }
        assertArrayEquals(older.readBytes(), mine.readBytes())
        assertEquals(Here.sha256(Here.pack), updatePack(mine.path, delta.path, public))
        assertArrayEquals(Here.pack.readBytes(), mine.readBytes())
    }

    @Test
    fun `keys and locks`() = test {
        val locket = Here.open(dir)
        fails<LocketException.StoreLocked> { Here.open(dir) }
        locket.close()
        val wrong = fails<LocketException.WrongKey> { Locket.open(Here.config(dir), generateKey()) }
        assertTrue(dir.toString() in wrong.message!!)
        val short = fails<LocketException.BadInput> { Locket.open(Here.config(dir), ByteArray(31)) }
        assertTrue("31" in short.message!!)
        assertNotEquals(generateKey().toList(), generateKey().toList())
        Here.open(dir).close()
    }

    @Test
    fun `erased is erased`() = test {
        val locket = Here.open(dir)
        locket.recordThree()
        locket.erase()
        assertArrayEquals(arrayOf<String>(), dir.toFile().walk().filter { it.isFile && "lock" !in it.name }.map { it.name }.toList().toTypedArray())
        fails<LocketException.Closed> { locket.history() }
        fails<LocketException.Closed> { locket.erase() }
        assertEquals(Availability.Closed, locket.availability())
        val again = Here.open(dir)
        assertEquals(0, again.history().size)
        again.close()
    }

    @Test
    fun `single records are forgotten`() = test {
        val locket = Here.open(dir)
        locket.recordThree()
        val history = locket.history()
        assertTrue(locket.forget(history[1].id))
        assertFalse(locket.forget(history[1].id))
        assertEquals(listOf(history[0], history[2]), locket.history())
        assertFalse(history[1].interaction.text in locket.export())
        locket.close()
    }

    @Test
    fun `an import adds what is new`() = test {
        val locket = Here.open(dir)
        locket.recordThree()
        val export = locket.export()
        assertEquals(0uL, locket.importExport(export))
        assertTrue(locket.forget(locket.history()[0].id))
        assertEquals(1uL, locket.importExport(export))
        assertEquals(3, locket.history().size)
        fails<LocketException.BadInput> { locket.importExport("{}") }
        locket.close()
    }

    @Test
    fun `the history is in the order of times`() = test {
        val locket = Here.open(dir)
        locket.record(Interaction("b", "later", timeMs = 1_700_000_000_000))
        locket.record(Interaction("a", "earlier, in seconds", timeMs = 1_600_000_000))
        val history = locket.history().map { it.interaction }
        assertEquals(listOf("a" to 1_600_000_000_000, "b" to 1_700_000_000_000), history.map { it.item to it.timeMs })
        fails<LocketException.BadInput> { locket.record(Interaction("c", "never", timeMs = -1)) }
        locket.close()
    }

    @Test
    fun `a lost key file is an error and a store is erased without its key`() = test {
        val store = dir.resolve("store")
        val locket = Here.open(store)
        locket.recordThree()
        locket.close()
        val key = store.resolve("locket.key").toFile()
        val aside = dir.resolve("aside").toFile()
        assertTrue(key.renameTo(aside))
        fails<LocketException.KeyFileMissing> { Here.open(store) }
        assertTrue(aside.renameTo(key))
        val again = Here.open(store)
        assertEquals(3, again.history().size)
        fails<LocketException.StoreLocked> { Locket.erase(store.toString()) }
        again.close()
        val mine = store.resolve("mine.txt").toFile().apply { writeText("stays") }
        Locket.erase(store.toString())
        assertEquals(listOf(mine.name), store.toFile().list().orEmpty().toList())
        val anew = Locket.open(EngineConfig(store.toString()), generateKey())
        assertEquals(0, anew.history().size)
        anew.close()
    }

    @Test
    fun `bad input is refused and nothing lost`() = test {
        val locket = Here.open(dir)
        locket.record(Interaction("a", "text"))
        fails<LocketException.BadInput> { locket.record(Interaction("", "text")) }
        fails<LocketException.BadInput> { locket.record(Interaction("a", "text", rating = 6f)) }
        fails<LocketException.BadInput> { locket.predict(PredictRequest(diversity = 2f)) }
        fails<LocketException.NoModel> { locket.generate(Here.text()) }
        fails<LocketException.NoModel> { locket.augment() }
        assertEquals(1, locket.history().size)
        locket.close()
        val bare = Locket.open(EngineConfig(dir.toString()), Here.key)
        fails<LocketException.NoPack> { bare.predict() }
        bare.close()
        val pack = File(dir.toFile(), "not-a-pack").apply { writeText("nothing") }
        fails<LocketException.PackUnusable> { Locket.open(EngineConfig(dir.toString(), pack.path), Here.key) }
        val model = ModelConfig("m.gguf", sha256 = "abc")
        fails<LocketException.BadInput> { Locket.open(EngineConfig(dir.toString(), model = model), Here.key) }
    }

    @Test
    fun `predictions say why`() = test {
        val locket = Here.open(dir)
        locket.recordThree()
        val all = locket.predict(PredictRequest(count = 5u, explain = true))
        assertEquals(5, all.size)
        assertEquals(all.map { it.score }.sortedDescending(), all.map { it.score })
        for (prediction in all) {
            assertFalse(prediction.item in listOf("k9", "k4", "k3"))
            assertEquals(1f, prediction.reasons.map { it.share }.sum(), 1e-3f)
        }
        assertTrue(all.flatMap { it.reasons }.any { it.via is Link.People || it.via is Link.Category || it.via is Link.Content })
        val other = locket.predict(PredictRequest(count = 5u, exclude = listOf(all[0].item)))
        assertFalse(all[0].item in other.map { it.item })
        locket.close()
    }

    @Test
    fun `whether a text can be written is known before`() = test {
        val locket = Here.open(dir)
        assertEquals(Availability.NoModel, locket.availability())
        val real = Here.model()
        val nowhere = File(dir.toFile(), "nowhere.gguf").path
        fails<LocketException.ModelMissing> { locket.useModel(ModelConfig(nowhere)) }
        assertEquals(Availability.ModelMissing(nowhere), locket.availability())
        val broken = File(dir.toFile(), "broken.gguf").apply { writeBytes(File(real.path).inputStream().use { it.readNBytes(5000) }) }
        fails<LocketException.ModelUnusable> { locket.useModel(ModelConfig(broken.path)) }
        assertTrue(locket.availability() is Availability.ModelUnusable)
        val other = "0".repeat(64)
        locket.useModel(real.copy(sha256 = other))
        val bad = locket.availability() as Availability.BadChecksum
        assertEquals(other, bad.expected)
        locket.useModel(real.copy(sha256 = bad.actual.uppercase()))
        val needed = (locket.availability() as Availability.Available).neededBytes
        assertTrue(needed in 200_000_000uL..1_000_000_000uL, "$needed")
        locket.close()
        val small = Here.open(dir.resolve("small"), Here.model(maxMemoryBytes = 100_000_000uL))
        assertEquals(Availability.WouldNotFit(needed, 100_000_000uL), small.availability())
        val refused = fails<LocketException.WouldNotFit> { small.generate(Here.text()) }
        assertTrue("100000000" in refused.message!!, refused.message)
        small.close()
    }

    @Test
    fun `a model that arrives later is taken`() = test {
        val real = Here.model()
        val arriving = File(dir.toFile(), "models/model.gguf")
        val locket = Here.open(dir.resolve("store"), real.copy(path = arriving.path))
        fails<LocketException.ModelMissing> { locket.generate(Here.text()) }
        var copied = 0L
        ModelImport.copy(arriving, Here.sha256(File(real.path)), { copied = it }) { File(real.path).inputStream() }
        assertEquals(arriving.length(), copied)
        assertTrue(locket.generate(Here.text(maxNewTokens = 4u)).tokens > 0u)
        locket.close()
    }

    @Test
    fun `an import is whole and right or not there`() = test {
        val bytes = ByteArray(1_000_000) { (it * 31).toByte() }
        val source = File(dir.toFile(), "source").apply { writeBytes(bytes) }
        val target = File(dir.toFile(), "folder/target")
        val sum = Here.sha256(source)
        val wrong = fails<ChecksumException> { ModelImport.copy(target, "0".repeat(64)) { source.inputStream() } }
        assertEquals(sum, wrong.actual)
        fails<ChecksumException> { ModelImport.copy(target, sum) { bytes.copyOf(999_999).inputStream() } }
        fails<java.io.FileNotFoundException> { ModelImport.copy(target, sum) { File("/nowhere").inputStream() } }
        assertEquals(listOf<String>(), target.parentFile.list().orEmpty().toList())
        ModelImport.copy(target, sum) { source.inputStream() }
        assertArrayEquals(bytes, target.readBytes())
        ModelImport.copy(target, sum) { error("it is there already") }
    }

    @Test
    fun `the log goes where the app wants it`() = test {
        val lines = ConcurrentLinkedQueue<String>()
        setLogger(
            object : Logger {
                override fun log(level: LogLevel, target: String, message: String) {
                    lines += "$level $target: $message"
                }
            },
            LogLevel.DEBUG,
        )
        val locket = Here.open(dir, Here.model())
        locket.generate(Here.text(maxNewTokens = 2u))
        locket.close()
        setLogger(null, LogLevel.ERROR)
        assertTrue(lines.any { "llama" in it }, "${lines.take(5)}")
        assertFalse(lines.any { "Tea Strainer" in it }, "texts are never logged")
        assertTrue(Regex("""\d+\.\d+\.\d+""").matches(version()))
    }
}
