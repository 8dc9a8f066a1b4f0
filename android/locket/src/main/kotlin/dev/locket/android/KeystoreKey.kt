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
 * The store's key, encrypted with a wrapping key that never leaves Android's Keystore.
 *
 * The wrapped key is in a folder that backups exclude. A store restored on another device is
 * unreadable there, since that device lacks the wrapping key too.
 */
public class KeystoreKey(private val context: Context, private val alias: String = "locket") {
    private val file: File get() = File(context.noBackupFilesDir, "$alias.key")

    /**
     * Returns the key of 32 bytes and creates it on the first call. Blocks for some milliseconds.
     * Overwrite the array after use.
     *
     * @throws KeyLostException if a wrapped key exists but no wrapping key decrypts it. The call
     * then changes nothing.
     */
    @Synchronized
    public fun get(): ByteArray = if (file.exists()) unwrap(file.readBytes()) else make()

    /**
     * Deletes the key.
     *
     * All data encrypted with it is lost, so call `Locket.erase` first. The next [get] creates a
     * new key.
     */
    @Synchronized
    public fun delete() {
        // Delete the wrapped key first: the wrapping key alone decrypts nothing.
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
        // An invalidated wrapping key cannot encrypt either. Replacing it loses no data, since
        // there is no wrapped key yet.
        val wrapped = try {
            wrap(key, wrapping ?: makeWrappingKey())
        } catch (e: KeyPermanentlyInvalidatedException) {
            wrap(key, makeWrappingKey())
        }
        // The rename makes the write atomic: the file is complete or absent.
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
 * The wrapping key is missing from Android's Keystore or was invalidated, for example because the
 * app's files were moved to another device.
 *
 * The store is unreadable without it. [KeystoreKey.get] throws this exception until the app erases
 * the store:
 *
 * ```
 * catch (e: KeyLostException) {
 *     // Inform the user that the data on this device is lost. Offer to import an export. Then:
 *     LocketAndroid.eraseLost(context)
 * }
 * ```
 *
 * [LocketAndroid.eraseLost] erases the store without its key and deletes the key. The next
 * [LocketAndroid.open] creates a new store and a new key.
 */
public class KeyLostException(message: String, cause: Throwable?) : Exception(message, cause)
