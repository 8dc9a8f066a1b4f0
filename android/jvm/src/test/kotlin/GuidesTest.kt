import dev.locket.Locket
import dev.locket.ffi.Availability
import dev.locket.ffi.FakeScript
import dev.locket.ffi.Failure
import dev.locket.ffi.Resize
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.job
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** Runs the Kotlin samples of the guides on the fake engine. `make sdk-kotlin` extracts them. */
class GuidesTest {
    private val script = FakeScript(text = "sure, see you then", availability = Availability.Available(1uL))
    private val broken = script.copy(fails = Failure.WOULD_NOT_FIT)

    private fun test(body: suspend CoroutineScope.() -> Unit): Unit = runBlocking { body() }

    /** Waits until the calls of a model have ended. */
    private suspend fun CoroutineScope.finished() = coroutineContext.job.children.toList().forEach { it.join() }

    @Test
    fun `chat chips become drafts and sent messages`() = test {
        val locket = Locket.fake(script)
        val chat = ChatModel(locket, this, locket.audience("Ada"))
        chat.opened()
        chat.received("Dinner at 8?")
        finished()
        chat.chosen(chat.chips.value.single(), "yes, bring cake")
        finished()
        assertEquals(script.text, chat.field.value)
        chat.sent("sure, at 8")
        chat.sent("typed without a draft")
        assertEquals(2uL, locket.stats().texts["reply"])
        assertEquals(1uL, locket.stats().heavilyEdited)
        assertEquals(locket.audience("Ada"), locket.history().first().interaction.audience)
    }

    @Test
    fun `typing stops the draft of a chat`() = test {
        val chat = ChatModel(Locket.fake(script), this, "ada")
        chat.received("Dinner at 8?")
        finished()
        val chip = chat.chips.value.single()
        val slow = ChatModel(Locket.fake(script.copy(wordMs = 10_000u)), this, "ada")
        slow.chosen(chip, "yes")
        slow.typed("no")
        finished()
        assertEquals("no", slow.field.value)
        assertNull(slow.draft.value)
    }

    @Test
    fun `a chat works without suggestions`() = test {
        val chat = ChatModel(Locket.fake(broken), this, "ada")
        chat.received("Dinner at 8?")
        finished()
        assertTrue(chat.chips.value.isEmpty())
    }

    @Test
    fun `mails are written, resized and sent`() = test {
        val locket = Locket.fake(script)
        val mail = MailModel(locket, this)
        mail.audience = locket.audience("carl@example.net")
        mail.subject = "Drill"
        mail.write("drill broken")
        finished()
        mail.resize(Resize.SHORTER)
        finished()
        assertEquals(script.text, mail.body.value)
        mail.sent()
        val sent = locket.history().single().interaction
        assertEquals(listOf("Drill", "email", locket.audience("carl@example.net")), listOf(sent.title, sent.kind, sent.audience))
        assertEquals(1uL, locket.stats().unchanged)
        val failed = MailModel(Locket.fake(broken), this)
        failed.write("drill broken")
        finished()
        assertTrue(failed.problem.value!!.isNotEmpty())
    }

    @Test
    fun `notes are written, titled and saved`() = test {
        val locket = Locket.fake(script)
        val note = NoteModel(locket, this)
        note.write(listOf("peas are up", "slugs"))
        finished()
        note.findTitle()
        finished()
        note.findTags("{}")
        finished()
        note.resize(Resize.LONGER)
        finished()
        assertEquals(listOf(script.text, script.text, script.text), listOf(note.body.value, note.title.value, note.tags.value))
        note.saved()
        assertEquals(1uL, locket.stats().texts["note"])
    }
}
