import Foundation
import LocketCore
import Security

/// The store's key in the Keychain: on this device only, never in a backup or on another device of the same account.
public struct KeychainKey: Sendable {
    private let service: String

    public init(service: String = "dev.locket.key") {
        self.service = service
    }

    /// The key of 32 bytes; made on first use. Readable once the device was unlocked after it started, so that background
    /// tasks work.
    public func get() throws -> Data {
        var query = self.query
        query[kSecReturnData as String] = true
        var found: CFTypeRef?
        switch SecItemCopyMatching(query as CFDictionary, &found) {
        case errSecSuccess:
            guard let key = found as? Data else { throw KeychainError(status: errSecDecode) }
            return key
        case errSecItemNotFound:
            return try make()
        case let status:
            throw KeychainError(status: status)
        }
    }

    /// Forgets the key. Whatever was encrypted with it is lost: to be called after `Locket.erase`.
    public func delete() throws {
        let status = SecItemDelete(query as CFDictionary)
        guard status == errSecSuccess || status == errSecItemNotFound else { throw KeychainError(status: status) }
    }

    private var query: [String: Any] {
        [kSecClass as String: kSecClassGenericPassword, kSecAttrService as String: service]
    }

    private func make() throws -> Data {
        let key = try generateKey()
        var item = query
        item[kSecValueData as String] = key
        item[kSecAttrAccessible as String] = kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly
        let status = SecItemAdd(item as CFDictionary, nil)
        // Somebody else was faster.
        if status == errSecDuplicateItem { return try get() }
        guard status == errSecSuccess else { throw KeychainError(status: status) }
        return key
    }
}

/// What the Keychain answered.
public struct KeychainError: LocalizedError {
    public let status: OSStatus

    public var errorDescription: String? {
        SecCopyErrorMessageString(status, nil) as String? ?? "the Keychain failed with \(status)"
    }
}
