import Foundation
import LocketCore
import Security

/// The store's key in the Keychain.
///
/// The item stays on this device: backups and the account's other devices never receive it.
public struct KeychainKey: Sendable {
    private let service: String

    public init(service: String = "dev.locket.key") {
        self.service = service
    }

    /// Returns the key of 32 bytes and creates it on the first call.
    ///
    /// The key is readable after the first unlock since the device started, so that background
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

    /// Deletes the key. All data encrypted with it is lost, so call `Locket.erase` first.
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
        // A concurrent call has added the key already.
        if status == errSecDuplicateItem { return try get() }
        guard status == errSecSuccess else { throw KeychainError(status: status) }
        return key
    }
}

/// An error status of the Keychain.
public struct KeychainError: LocalizedError {
    public let status: OSStatus

    public var errorDescription: String? {
        SecCopyErrorMessageString(status, nil) as String? ?? "the Keychain failed with \(status)"
    }
}
