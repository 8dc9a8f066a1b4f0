#if canImport(UIKit)
import Foundation
import LocketCore
import UIKit

/// An observer that reports the device's memory, temperature and power to an engine for as long as
/// it lives.
///
/// It releases memory when the system warns. The engine uses fewer threads on a warm device. While
/// the app is in the background, foreground calls are paused and no call uses the GPU: the system
/// would terminate the app for it. `BackgroundAugmentation` continues on the CPU.
@MainActor
public final class DeviceWatcher {
    private let locket: Locket
    private let observers = Observers()

    public init(_ locket: Locket) {
        self.locket = locket
        UIDevice.current.isBatteryMonitoringEnabled = true
        on(UIApplication.didReceiveMemoryWarningNotification) { $0.locket.releaseMemory(.model) }
        on(UIApplication.didEnterBackgroundNotification) { $0.leave() }
        on(UIApplication.willEnterForegroundNotification) { $0.comeBack() }
        on(ProcessInfo.thermalStateDidChangeNotification) { $0.tell() }
        on(Notification.Name.NSProcessInfoPowerStateDidChange) { $0.tell() }
        on(UIDevice.batteryStateDidChangeNotification) { $0.tell() }
        tell()
        // The system may have launched the app for a background task.
        if UIApplication.shared.applicationState == .background { leave() }
    }

    private func leave() {
        locket.pause(.foreground)
        locket.allowGpu(false)
        locket.releaseMemory(.kv)
    }

    private func comeBack() {
        locket.allowGpu(true)
        locket.resume(.foreground)
    }

    private func on(_ name: Notification.Name, _ act: @escaping @MainActor @Sendable (DeviceWatcher) -> Void) {
        let observer = NotificationCenter.default.addObserver(forName: name, object: nil, queue: .main) { [weak self] _ in
            MainActor.assumeIsolated {
                if let self { act(self) }
            }
        }
        observers.add(observer)
    }

    private func tell() {
        let thermal: Thermal
        switch ProcessInfo.processInfo.thermalState {
        case .nominal: thermal = .nominal
        case .fair: thermal = .fair
        case .serious: thermal = .serious
        case .critical: thermal = .critical
        @unknown default: thermal = .serious
        }
        let power: Power
        switch UIDevice.current.batteryState {
        case .charging, .full: power = .charging
        default: power = ProcessInfo.processInfo.isLowPowerModeEnabled ? .low : .battery
        }
        locket.setConditions(thermal: thermal, power: power)
    }
}

/// A list of observers that are removed with their owner.
///
/// It is a separate class, since the watcher's `deinit` may not access state of the main actor.
private final class Observers {
    private var all: [any NSObjectProtocol] = []

    func add(_ observer: any NSObjectProtocol) {
        all.append(observer)
    }

    deinit {
        all.forEach(NotificationCenter.default.removeObserver)
    }
}
#endif
