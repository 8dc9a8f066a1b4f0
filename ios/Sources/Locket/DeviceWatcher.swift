#if canImport(UIKit)
import Foundation
import LocketCore
import UIKit

/// Tells an engine how the device is, as long as it lives: gives memory back when the system warns, takes fewer threads on a
/// warm device, and stops decoding while the app is in the background, where the system kills who uses the GPU.
@MainActor
public final class DeviceWatcher {
    private let locket: Locket
    private var observers: [any NSObjectProtocol] = []

    public init(_ locket: Locket) {
        self.locket = locket
        UIDevice.current.isBatteryMonitoringEnabled = true
        on(UIApplication.didReceiveMemoryWarningNotification) { $0.locket.releaseMemory(.model) }
        on(UIApplication.didEnterBackgroundNotification) {
            $0.locket.pause()
            $0.locket.releaseMemory(.kv)
        }
        on(UIApplication.willEnterForegroundNotification) { $0.locket.resume() }
        on(ProcessInfo.thermalStateDidChangeNotification) { $0.tell() }
        on(Notification.Name.NSProcessInfoPowerStateDidChange) { $0.tell() }
        on(UIDevice.batteryStateDidChangeNotification) { $0.tell() }
        tell()
    }

    deinit {
        observers.forEach(NotificationCenter.default.removeObserver)
    }

    private func on(_ name: Notification.Name, _ act: @escaping @MainActor @Sendable (DeviceWatcher) -> Void) {
        let observer = NotificationCenter.default.addObserver(forName: name, object: nil, queue: .main) { [weak self] _ in
            MainActor.assumeIsolated {
                if let self { act(self) }
            }
        }
        observers.append(observer)
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
#endif
