package dev.locket.sample

import android.app.Activity
import android.os.Bundle
import android.view.ViewGroup.LayoutParams
import android.widget.Button
import android.widget.EditText
import android.widget.LinearLayout
import android.widget.ScrollView
import android.widget.TextView
import dev.locket.Locket
import dev.locket.ffi.Part
import dev.locket.Writing
import dev.locket.android.DeviceWatcher
import dev.locket.android.LocketAndroid
import dev.locket.ffi.GenerateRequest
import dev.locket.ffi.Interaction
import dev.locket.ffi.LocketException
import dev.locket.ffi.ModelConfig
import dev.locket.ffi.WritingTask
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch
import java.io.IOException

/** An activity that takes three reviews by the user and generates a fourth. */
class MainActivity : Activity() {
    private val scope = CoroutineScope(SupervisorJob() + Dispatchers.Main)
    private var locket: Locket? = null
    private var watcher: DeviceWatcher? = null
    private lateinit var page: LinearLayout
    private lateinit var answer: TextView

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        page = LinearLayout(this).apply { orientation = LinearLayout.VERTICAL }
        val reviews = List(REVIEWS) { field("Review ${it + 1}, about something you own") }
        val item = field("What shall the next one be about?")
        val write = Button(this).apply { text = "Write it as I would" }
        answer = TextView(this)
        page.addView(write)
        page.addView(answer)
        setContentView(ScrollView(this).apply { addView(page) })
        write.setOnClickListener {
            val texts = reviews.map { it.text.toString() }.filter(String::isNotBlank)
            scope.launch { write(texts, item.text.toString()) }
        }
    }

    override fun onDestroy() {
        scope.cancel()
        watcher?.close()
        val open = locket
        // The activity's scope is already cancelled.
        if (open != null) CoroutineScope(Dispatchers.Default).launch { open.close() }
        super.onDestroy()
    }

    private fun field(prompt: String): EditText = EditText(this).apply {
        hint = prompt
        page.addView(this, LayoutParams.MATCH_PARENT, LayoutParams.WRAP_CONTENT)
    }

    private suspend fun opened(): Locket = locket ?: run {
        answer.text = "Preparing the model…"
        val model = LocketAndroid.importAsset(this, MODEL, MODEL_SHA256)
        val adapter = LocketAndroid.importAsset(this, ADAPTER, ADAPTER_SHA256)
        LocketAndroid.open(this, ModelConfig(model.path, adapter.path)).also {
            locket = it
            watcher = DeviceWatcher(this, it)
        }
    }

    private suspend fun write(texts: List<String>, item: String) = try {
        val locket = opened()
        texts.forEachIndexed { n, text -> locket.record(Interaction("own-${n + 1}", text)) }
        answer.text = ""
        locket.stream(GenerateRequest(item, WritingTask.TEXT, itemTitle = item)).collect { writing ->
            if (writing is Writing.Chunk && writing.part == Part.TEXT) answer.append(writing.text)
        }
    } catch (e: LocketException) {
        answer.text = e.message
    } catch (e: IOException) {
        answer.text = e.message
    }

    private companion object {
        const val REVIEWS = 3
        const val MODEL = "gemma-3-270m-q4_k_m.gguf"
        const val ADAPTER = "gemma-3-270m-review.gguf"

        // Same values as in models/manifest.toml.
        const val MODEL_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
        const val ADAPTER_SHA256 = "f940fbd8b0dc086e67b4e4ae012274a38defa19bd6537c2df3dbd250864ba089"
    }
}
