package dev.locket

import com.sun.jna.Native
import dev.locket.ffi.Piece
import dev.locket.ffi.TextListener

/**
 * A listener whose thread stays attached to the JVM between two chunks, instead of attaching for
 * each chunk.
 *
 * The thread belongs to the call and detaches when it ends.
 */
internal class PieceListener(private val tell: (Piece) -> Unit) : TextListener {
    private var attached: Thread? = null

    override fun onPieces(pieces: List<Piece>) {
        val here = Thread.currentThread()
        if (attached !== here) {
            Native.detach(false)
            attached = here
        }
        pieces.forEach(tell)
    }
}
