package dev.locket.android

import android.content.Context
import android.net.Uri
import android.os.ParcelFileDescriptor
import dev.locket.Locket
import dev.locket.ModelImport
import dev.locket.ffi.EngineConfig
import dev.locket.ffi.ModelConfig
import dev.locket.ffi.setKernelDir
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext
import java.io.File
import java.io.FileNotFoundException
import java.io.InputStream

/** Functions that open Locket and import models in the private files of an Android app. */
public object LocketAndroid {
    /**
     * Opens the user's store in the app's private files with a key from Android's Keystore.
     *
     * Use one engine per store and keep it in the `Application`.
     *
     * @throws KeyLostException if the Keystore has lost the key. The call then changes nothing.
     */
    public suspend fun open(
        context: Context,
        model: ModelConfig? = null,
        pack: File? = null,
        userId: String? = null,
    ): Locket = withContext(Dispatchers.IO) {
        setKernelDir(context.applicationInfo.nativeLibraryDir)
        val store = store(context)
        val config = EngineConfig(storeDir = store.path, packPath = pack?.path, model = model, userId = userId)
        val key = KeystoreKey(context).get()
        try {
            Locket.open(config, key)
        } finally {
            key.fill(0)
        }
    }

    /**
     * Erases the store that [open] uses, without its key, and deletes the key.
     *
     * Call it after [KeyLostException]. The next [open] creates a new store.
     */
    public suspend fun eraseLost(context: Context): Unit = withContext(Dispatchers.IO) {
        Locket.erase(store(context).path)
        KeystoreKey(context).delete()
    }

    private fun store(context: Context): File = File(context.noBackupFilesDir, "locket")

    /**
     * Copies a model from the app's assets.
     *
     * Store the asset uncompressed: `androidResources { noCompress += "gguf" }`.
     */
    public suspend fun importAsset(
        context: Context,
        asset: String,
        sha256: String,
        onProgress: (Long) -> Unit = {},
    ): File = import(context, asset.substringAfterLast('/'), sha256, onProgress) { context.assets.open(asset) }

    /**
     * Copies a model that the user selected or that the system downloaded
     * (`DownloadManager.getUriForDownloadedFile`).
     */
    public suspend fun importUri(
        context: Context,
        uri: Uri,
        name: String,
        sha256: String,
        onProgress: (Long) -> Unit = {},
    ): File = import(context, name, sha256, onProgress) {
        context.contentResolver.openInputStream(uri) ?: throw FileNotFoundException(uri.toString())
    }

    /** Copies a model from an open file and closes the descriptor. */
    public suspend fun importDescriptor(
        context: Context,
        descriptor: ParcelFileDescriptor,
        name: String,
        sha256: String,
        onProgress: (Long) -> Unit = {},
    ): File = import(context, name, sha256, onProgress) { ParcelFileDescriptor.AutoCloseInputStream(descriptor) }

    private suspend fun import(
        context: Context,
        name: String,
        sha256: String,
        onProgress: (Long) -> Unit,
        open: () -> InputStream,
    ): File = ModelImport.copy(File(context.noBackupFilesDir, "models/$name"), sha256, onProgress, open)
}
