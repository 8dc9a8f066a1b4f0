import CryptoKit
import Foundation
import LocketCore

extension Locket {
    /// Opens the user's store in the app's private files with a key from the Keychain.
    ///
    /// The system also encrypts the files until the device is first unlocked. Backups exclude them,
    /// since they are unreadable without the key.
    public static func onDevice(
        model: ModelConfig? = nil,
        pack: URL? = nil,
        userId: String? = nil
    ) async throws -> Locket {
        let store = try privateFolder("locket/store")
        let config = EngineConfig(storeDir: store.path, packPath: pack?.path, model: model, userId: userId)
        return try await open(config, key: KeychainKey().get())
    }

    /// Copies a model, from the bundle or downloaded, to a location where the engine can memory-map
    /// it, and verifies its checksum.
    ///
    /// The file is complete and correct, or absent.
    public static func importModel(from source: URL, sha256: String) async throws -> URL {
        try await importModel(from: source, sha256: sha256, into: privateFolder("locket/models"))
    }

    static func importModel(from source: URL, sha256: String, into folder: URL) async throws -> URL {
        let target = folder.appendingPathComponent(source.lastPathComponent)
        return try await Task.detached(priority: .utility) {
            let files = FileManager.default
            if files.fileExists(atPath: target.path), try digest(target) == sha256.lowercased() { return target }
            // A unique name keeps concurrent imports apart.
            let part = folder.appendingPathComponent("\(UUID().uuidString).part")
            // Removes nothing after the move.
            defer { try? files.removeItem(at: part) }
            try files.copyItem(at: source, to: part)
            let actual = try digest(part)
            guard actual == sha256.lowercased() else { throw ChecksumError(expected: sha256, actual: actual) }
            // Atomic, whether or not a file of this name exists.
            guard rename(part.path, target.path) == 0 else {
                throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
            }
            return target
        }.value
    }

    private static func privateFolder(_ name: String) throws -> URL {
        let files = FileManager.default
        let support = try files.url(
            for: .applicationSupportDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
        var folder = support.appendingPathComponent(name, isDirectory: true)
        try files.createDirectory(at: folder, withIntermediateDirectories: true)
        #if os(iOS)
        try files.setAttributes(
            [.protectionKey: FileProtectionType.completeUntilFirstUserAuthentication], ofItemAtPath: folder.path)
        #endif
        var values = URLResourceValues()
        values.isExcludedFromBackup = true
        try folder.setResourceValues(values)
        return folder
    }
}

private func digest(_ file: URL) throws -> String {
    let handle = try FileHandle(forReadingFrom: file)
    defer { try? handle.close() }
    var sum = SHA256()
    while let chunk = try handle.read(upToCount: 1 << 20), !chunk.isEmpty {
        sum.update(data: chunk)
    }
    return sum.finalize().map { String(format: "%02x", $0) }.joined()
}

/// The checksum of a copied file differs from the expected one.
public struct ChecksumError: LocalizedError {
    public let expected: String
    public let actual: String

    public var errorDescription: String? {
        "the file's SHA-256 is \(actual), it should be \(expected): it was cut off or is another one"
    }
}
