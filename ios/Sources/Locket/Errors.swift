import Foundation
import LocketCore

/// The error's message, without the name of its case.
extension LocketError: LocalizedError {
    public var errorDescription: String? {
        switch self {
        case .NoModel(let message), .NoPack(let message), .ModelMissing(let message), .ModelUnusable(let message),
            .WouldNotFit(let message), .WrongKey(let message), .KeyFileMissing(let message),
            .StoreLocked(let message), .StoreReadOnly(let message), .StoreDamaged(let message),
            .StoreTooNew(let message), .PackUnusable(let message), .UpdateRefused(let message),
            .BadInput(let message), .Deadline(let message),
            .Cancelled(let message), .Closed(let message), .ListenerFailed(let message),
            .Storage(let message), .Internal(let message):
            return message
        }
    }
}
