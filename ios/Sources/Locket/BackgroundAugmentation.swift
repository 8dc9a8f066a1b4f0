#if canImport(BackgroundTasks) && os(iOS)
import BackgroundTasks
import Foundation
import LocketCore

/// A background task that generates synthetic texts while the device is charging and idle.
///
/// The system stops the task when it needs the device. The next task continues where the stopped
/// one ended. With a `DeviceWatcher` on the same `Locket`, it runs while foreground calls are
/// paused, and off the GPU.
///
/// List the identifier in the app's Info.plist under `BGTaskSchedulerPermittedIdentifiers`.
public struct BackgroundAugmentation: Sendable {
    private let identifier: String
    private let request: AugmentRequest

    public init(identifier: String, request: AugmentRequest = AugmentRequest()) {
        self.identifier = identifier
        self.request = request
    }

    /// Registers the task. Call it before the app finishes launching.
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

    /// Schedules a task that starts after `hours` hours at the earliest, while the device is
    /// charging.
    public func schedule(hours: Double = 24) throws {
        let wish = BGProcessingTaskRequest(identifier: identifier)
        wish.requiresExternalPower = true
        wish.requiresNetworkConnectivity = false
        wish.earliestBeginDate = Date(timeIntervalSinceNow: hours * 3600)
        try BGTaskScheduler.shared.submit(wish)
    }
}

/// A wrapper that makes the system's task `Sendable`: any thread may complete it, but its class
/// lacks the conformance.
private struct Handed: @unchecked Sendable {
    let background: BGTask

    init(_ background: BGTask) {
        self.background = background
    }
}
#endif
