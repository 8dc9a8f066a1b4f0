package dev.locket.android

import android.content.Context
import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyPermanentlyInvalidatedException
import android.security.keystore.KeyProperties
import dev.locket.ffi.generateKey
import java.io.File
import java.security.KeyStore
import java.security.UnrecoverableKeyException
import javax.crypto.AEADBadTagException
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

    /**
     * The key of 32 bytes; made on first use. Blocks for some milliseconds. Overwrite the array after use.
     *
     * @throws KeyLostException if there is a wrapped key and no wrapping key that opens it. Nothing is changed then.
     */
    @Synchronized
    public fun get(): ByteArray = if (file.exists()) unwrap(file.readBytes()) else make()

    /**
     * Forgets the key. Whatever was encrypted with it is lost: to be called after `Locket.erase`. The next [get] makes a new
     * key.
     */
    @Synchronized
    public fun delete() {
        // The wrapped key first: without it the wrapping key opens nothing.
        check(file.delete() || !file.exists()) { "cannot delete $file" }
        keyStore().deleteEntry(alias)
    }

    private fun make(): ByteArray {
        val key = generateKey()
        val wrapping = try {
            wrappingKey()
        } catch (e: UnrecoverableKeyException) {
            null
        }
        // One that opens nothing any more wraps nothing either. Nothing is lost: no wrapped key is there.
        val wrapped = try {
            wrap(key, wrapping ?: makeWrappingKey())
        } catch (e: KeyPermanentlyInvalidatedException) {
            wrap(key, makeWrappingKey())
        }
        // A file is there whole or not at all.
        val fresh = File(file.path + ".new")
        fresh.writeBytes(wrapped)
        check(fresh.renameTo(file)) { "cannot keep the key in ${file.parent}" }
        return key
    }

    private fun wrap(key: ByteArray, wrapping: SecretKey): ByteArray {
        val cipher = Cipher.getInstance(TRANSFORMATION).apply { init(Cipher.ENCRYPT_MODE, wrapping) }
        return cipher.iv + cipher.doFinal(key)
    }

    private fun unwrap(wrapped: ByteArray): ByteArray {
        if (wrapped.size <= IV_BYTES) throw KeyLostException("the wrapped key in $file is damaged", null)
        val cipher = Cipher.getInstance(TRANSFORMATION)
        return try {
            val wrapping = wrappingKey() ?: throw KeyLostException("the Keystore has no key \"$alias\" any more", null)
            cipher.init(Cipher.DECRYPT_MODE, wrapping, GCMParameterSpec(TAG_BITS, wrapped, 0, IV_BYTES))
            cipher.doFinal(wrapped, IV_BYTES, wrapped.size - IV_BYTES)
        } catch (e: KeyPermanentlyInvalidatedException) {
            throw KeyLostException("the Keystore's key \"$alias\" was invalidated", e)
        } catch (e: UnrecoverableKeyException) {
            throw KeyLostException("the Keystore's key \"$alias\" cannot be recovered", e)
        } catch (e: AEADBadTagException) {
            throw KeyLostException("the Keystore's key \"$alias\" is another one than the one that wrapped $file", e)
        }
    }

    private fun keyStore(): KeyStore = KeyStore.getInstance(PROVIDER).apply { load(null) }

    private fun wrappingKey(): SecretKey? = keyStore().getKey(alias, null) as? SecretKey

    private fun makeWrappingKey(): SecretKey {
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

/**
 * The key that wrapped the store's key is gone from Android's Keystore, or was invalidated, for example because the app's files
 * were moved to another device. Nobody can read the store any more; [KeystoreKey.get] throws this until the app begins anew:
 *
 * ```
 * catch (e: KeyLostException) {
 *     // Tell the person that what they had written is lost here, and offer to import an export of theirs. Then:
 *     LocketAndroid.eraseLost(context)
 * }
 * ```
 *
 * [LocketAndroid.eraseLost] erases the store without its key and deletes the key; the next [LocketAndroid.open] makes new ones.
 */
public class KeyLostException(message: String, cause: Throwable?) : Exception(message, cause)
