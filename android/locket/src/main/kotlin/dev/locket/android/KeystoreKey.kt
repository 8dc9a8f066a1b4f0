package dev.locket.android

import android.content.Context
import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyProperties
import dev.locket.ffi.generateKey
import java.io.File
import java.security.KeyStore
import javax.crypto.Cipher
import javax.crypto.KeyGenerator
import javax.crypto.SecretKey
import javax.crypto.spec.GCMParameterSpec

/**
 * The store's key, wrapped by one that never leaves Android's Keystore.
 *
 * The wrapped key lies where no backup takes it: a store restored on another device cannot be read there, as the wrapping key
 * is not there either.
 */
public class KeystoreKey(private val context: Context, private val alias: String = "locket") {
    private val file: File get() = File(context.noBackupFilesDir, "$alias.key")

    /** The key of 32 bytes; made on first use. Blocks for some milliseconds. Overwrite the array after use. */
    @Synchronized
    public fun get(): ByteArray = if (file.exists()) unwrap(file.readBytes()) else make()

    /** Forgets the key. Whatever was encrypted with it is lost: to be called after `Locket.erase`. */
    @Synchronized
    public fun delete() {
        file.delete()
        keyStore().deleteEntry(alias)
    }

    private fun make(): ByteArray {
        val key = generateKey()
        val cipher = Cipher.getInstance(TRANSFORMATION).apply { init(Cipher.ENCRYPT_MODE, wrappingKey()) }
        val wrapped = cipher.iv + cipher.doFinal(key)
        // A file is there whole or not at all.
        val fresh = File(file.path + ".new")
        fresh.writeBytes(wrapped)
        check(fresh.renameTo(file)) { "cannot keep the key in ${file.parent}" }
        return key
    }

    private fun unwrap(wrapped: ByteArray): ByteArray {
        val cipher = Cipher.getInstance(TRANSFORMATION)
        cipher.init(Cipher.DECRYPT_MODE, wrappingKey(), GCMParameterSpec(TAG_BITS, wrapped, 0, IV_BYTES))
        return cipher.doFinal(wrapped, IV_BYTES, wrapped.size - IV_BYTES)
    }

    private fun keyStore(): KeyStore = KeyStore.getInstance(PROVIDER).apply { load(null) }

    private fun wrappingKey(): SecretKey {
        (keyStore().getKey(alias, null) as? SecretKey)?.let { return it }
        val purposes = KeyProperties.PURPOSE_ENCRYPT or KeyProperties.PURPOSE_DECRYPT
        val spec = KeyGenParameterSpec.Builder(alias, purposes)
            .setBlockModes(KeyProperties.BLOCK_MODE_GCM)
            .setEncryptionPaddings(KeyProperties.ENCRYPTION_PADDING_NONE)
            .setKeySize(256)
            .build()
        return KeyGenerator.getInstance(KeyProperties.KEY_ALGORITHM_AES, PROVIDER).apply { init(spec) }.generateKey()
    }

    private companion object {
        const val PROVIDER = "AndroidKeyStore"
        const val TRANSFORMATION = "AES/GCM/NoPadding"
        const val IV_BYTES = 12
        const val TAG_BITS = 128
    }
}
