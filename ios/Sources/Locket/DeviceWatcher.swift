#if canImport(UIKit)
import Foundation
import LocketCore
import UIKit

/// Tells an engine how the device is, as long as it lives: gives memory back when the system warns and takes fewer threads on a
/// warm device. While the app is in the background texts wait, and no call uses the GPU, for which the system would end the app;
/// `BackgroundAugmentation` goes on, on the processor.
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
        // A background task may have launched the app.
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

/// Observers that end with their owner. A class of its own: the watcher's `deinit` may not touch what the main actor guards.
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
