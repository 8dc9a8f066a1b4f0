#if canImport(BackgroundTasks) && os(iOS)
import BackgroundTasks
import Foundation
import LocketCore

/// Writes synthetic texts while the device charges and nobody uses it. When the system wants the device back, the call is
/// stopped; the next task goes on where it was. A `DeviceWatcher` on the same `Locket` lets it run while texts wait, and keeps it
/// off the GPU.
///
/// The identifier stands in the app's Info.plist under `BGTaskSchedulerPermittedIdentifiers`.
public struct BackgroundAugmentation: Sendable {
    private let identifier: String
    private let request: AugmentRequest

    public init(identifier: String, request: AugmentRequest = AugmentRequest()) {
        self.identifier = identifier
        self.request = request
    }

    /// To be called before the app has finished launching.
    public func register(_ locket: @escaping @Sendable () async throws -> Locket) {
        let request = self.request
        BGTaskScheduler.shared.register(forTaskWithIdentifier: identifier, using: nil) { task in
            let task = Handed(task)
            let work = Task {
                let done = try? await locket().augment(request)
                task.background.setTaskCompleted(success: done?.unfinished == 0)
            }
            task.background.expirationHandler = { work.cancel() }
        }
    }

    /// Asks the system for a task, charging, in some hours.
    public func schedule(hours: Double = 24) throws {
        let wish = BGProcessingTaskRequest(identifier: identifier)
        wish.requiresExternalPower = true
        wish.requiresNetworkConnectivity = false
        wish.earliestBeginDate = Date(timeIntervalSinceNow: hours * 3600)
        try BGTaskScheduler.shared.submit(wish)
    }
}

/// The system's task may be completed from any thread, but its class does not say so.
private struct Handed: @unchecked Sendable {
    let background: BGTask

    init(_ background: BGTask) {
        self.background = background
    }
}
#endif
