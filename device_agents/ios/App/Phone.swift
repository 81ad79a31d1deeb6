import LutbenchCore
import LutbenchServer
import SwiftUI
import UIKit
#if LUTBENCH_EXECUTORCH
import LutbenchExecuTorch
#endif

/// What iOS says of the phone, told to the server; what the server says, for the screen.
@MainActor
final class Phone: ObservableObject {
    @Published private(set) var events: [String] = []
    @Published private(set) var state = PhoneState()
    @Published private(set) var result: String?
    @Published private(set) var wifi: (port: UInt16, code: String)?
    @Published private(set) var problem: String?
    private var server: AppServer?

    var isInFront = true {
        didSet {
            tell { $0.isInFront = self.isInFront }
            if isInFront && !oldValue { listenAgain() }
        }
    }

    init() {
        UIApplication.shared.isIdleTimerDisabled = true  // a phone that sleeps measures nothing
        UIDevice.current.isBatteryMonitoringEnabled = true
        lutbench_catch_fatal_signals()
        #if LUTBENCH_EXECUTORCH
        lutbench_add_executorch()
        #endif
        do {
            let folder = try FileManager.default.url(
                for: .cachesDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
            let server = try AppServer(
                folder: folder.appendingPathComponent("lutbench").path, library: nil, facts: Phone.facts,
                engines: CoreMLEngine.all)
            server.onEvent = { line in Task { @MainActor in self.add(line) } }
            server.onResult = { text in Task { @MainActor in self.result = text } }
            self.server = server
            _ = try server.listenForCable()
        } catch {
            problem = "\(error)"
        }
        watch()
        read()
    }

    /// Switches Wi-Fi on, with a new code, or off.
    func setWiFi(_ isOn: Bool) {
        guard let server else { return }
        if let wifi { server.stopListening(port: wifi.port) }
        wifi = nil
        guard isOn else { return }
        do {
            wifi = try server.listenForWiFi(port: AppServer.wifiPort)
        } catch {
            problem = "\(error)"
        }
    }

    /// iOS takes the sockets of an app that was suspended.
    private func listenAgain() {
        guard let server else { return }
        server.stopListening(port: AppServer.port)
        do {
            _ = try server.listenForCable()
        } catch {
            problem = "\(error)"
        }
        if wifi != nil { setWiFi(true) }
    }

    private func add(_ line: String) {
        events = Array((events + [line]).suffix(20))
    }

    private func watch() {
        let names = [
            ProcessInfo.thermalStateDidChangeNotification, .NSProcessInfoPowerStateDidChange,
            UIDevice.batteryLevelDidChangeNotification, UIDevice.batteryStateDidChangeNotification,
        ]
        for name in names {
            NotificationCenter.default.addObserver(forName: name, object: nil, queue: .main) { _ in
                Task { @MainActor in self.read() }
            }
        }
    }

    private func read() {
        tell {
            $0.thermal = Phone.thermal(ProcessInfo.processInfo.thermalState)
            $0.lowPower = ProcessInfo.processInfo.isLowPowerModeEnabled
            $0.battery = Double(UIDevice.current.batteryLevel)
            $0.isCharging = [.charging, .full].contains(UIDevice.current.batteryState)
        }
    }

    private func tell(_ change: (inout PhoneState) -> Void) {
        server?.update(change)
        change(&state)
    }

    private static func thermal(_ state: ProcessInfo.ThermalState) -> PhoneState.Thermal {
        switch state {
        case .nominal: return .nominal
        case .fair: return .fair
        case .serious: return .serious
        default: return .critical
        }
    }

    private static var facts: PhoneFacts {
        var system = utsname()
        uname(&system)
        let machine = withUnsafeBytes(of: &system.machine) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        let process = ProcessInfo.processInfo
        return PhoneFacts(
            make: "Apple", machine: machine, cpu: "unreadable", cores: process.processorCount,
            memoryBytes: Int(process.physicalMemory),
            os: "\(UIDevice.current.systemName) \(UIDevice.current.systemVersion)",
            build: process.operatingSystemVersionString, qos: "userInteractive"
        )
    }
}
