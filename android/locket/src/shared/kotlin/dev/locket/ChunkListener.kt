package dev.locket

import com.sun.jna.Native
import dev.locket.ffi.Chunk
import dev.locket.ffi.TextListener

/**
 * A listener whose thread stays attached to the JVM between two chunks, instead of attaching for
 * each chunk.
 *
 * The thread belongs to the call and detaches when it ends.
 */
internal class ChunkListener(private val tell: (Chunk) -> Unit) : TextListener {
    private var attached: Thread? = null

    override fun onChunks(chunks: List<Chunk>) {
        val here = Thread.currentThread()
        if (attached !== here) {
            Native.detach(false)
            attached = here
        }
        chunks.forEach(tell)
    }
}
