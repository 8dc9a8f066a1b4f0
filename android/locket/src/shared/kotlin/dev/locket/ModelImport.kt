package dev.locket

import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.withContext
import java.io.File
import java.io.IOException
import java.io.InputStream
import java.security.MessageDigest

/** Copies a model file to a location where the engine can memory-map it. */
public object ModelImport {
    /**
     * Copies the bytes of [open] to [target] and verifies their checksum.
     *
     * The target file is complete and correct, or absent. A correct file that already exists is not
     * copied again. [onProgress] receives the number of bytes copied so far.
     *
     * @throws ChecksumException if the SHA-256 of the bytes is not [sha256]
     * @throws IOException if reading or writing fails, for example on a full disk
     */
    public suspend fun copy(
        target: File,
        sha256: String,
        onProgress: (Long) -> Unit = {},
        open: () -> InputStream,
    ): File = withContext(Dispatchers.IO) {
        if (target.exists() && target.inputStream().use { digest(it) {} }.equals(sha256, ignoreCase = true)) {
            return@withContext target
        }
        val folder = target.absoluteFile.parentFile
        if (folder != null && !folder.isDirectory && !folder.mkdirs()) throw IOException("cannot make $folder")
        val part = File(target.path + ".part")
        try {
            val actual = open().use { from ->
                part.outputStream().use { to ->
                    var copied = 0L
                    digest(from) { chunk ->
                        ensureActive()
                        to.write(chunk.bytes, 0, chunk.length)
                        copied += chunk.length
                        onProgress(copied)
                    }.also { to.fd.sync() }
                }
            }
            if (!actual.equals(sha256, ignoreCase = true)) throw ChecksumException(sha256, actual)
            if (!part.renameTo(target)) throw IOException("cannot move $part to $target")
        } finally {
            part.delete()
        }
        target
    }

    private class Chunk(val bytes: ByteArray, val length: Int)

    private inline fun digest(from: InputStream, each: (Chunk) -> Unit): String {
        val sum = MessageDigest.getInstance("SHA-256")
        val bytes = ByteArray(1 shl 18)
        while (true) {
            val length = from.read(bytes)
            if (length < 0) break
            sum.update(bytes, 0, length)
            each(Chunk(bytes, length))
        }
        return sum.digest().joinToString("") { "%02x".format(it) }
    }
}

/** The checksum of a copied file differs from the expected one. */
public class ChecksumException(public val expected: String, public val actual: String) :
    IOException("the file's SHA-256 is $actual, it should be $expected: it was cut off or is another one")
