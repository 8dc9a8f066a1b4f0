package dev.locket

import com.sun.jna.Native
import dev.locket.ffi.Piece
import dev.locket.ffi.TextListener

/**
 * A listener whose thread stays attached to the JVM between two pieces, rather than being attached for each. The thread is the
 * engine's and detaches when it ends.
 */
internal class PieceListener(private val tell: (Piece) -> Unit) : TextListener {
    private var attached = false

    override fun onPiece(piece: Piece) {
        if (!attached) {
            Native.detach(false)
            attached = true
        }
        tell(piece)
    }
}
