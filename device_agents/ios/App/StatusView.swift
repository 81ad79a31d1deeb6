import LutbenchServer
import SwiftUI

/// The one screen: whether it measures, how hot the phone is, what came of it, how it is reached, and what happened.
struct StatusView: View {
    @ObservedObject var phone: Phone

    var body: some View {
        List {
            Section("Now") {
                Text(phone.problem ?? phone.state.hindrance(waitsForHeat: true) ?? phone.events.last ?? "waiting for a host")
                LabeledRow(name: "Thermal state", value: phone.state.thermal.rawValue)
                LabeledRow(name: "Low-power mode", value: phone.state.lowPower ? "on" : "off")
                LabeledRow(name: "Last result", value: phone.result ?? "none yet")
            }
            Section("Wi-Fi, where there is no cable") {
                Toggle("Let hosts in by Wi-Fi", isOn: Binding(get: { phone.wifi != nil }, set: phone.setWiFi))
                if let wifi = phone.wifi {
                    LabeledRow(name: "Pairing code", value: wifi.code)
                    LabeledRow(name: "Port", value: String(wifi.port))
                }
            }
            Section("Lately") {
                ForEach(Array(phone.events.enumerated().reversed()), id: \.offset) { Text($0.element) }
            }
        }
    }
}

private struct LabeledRow: View {
    let name: String
    let value: String

    var body: some View {
        HStack {
            Text(name)
            Spacer()
            Text(value).font(.body.monospaced()).foregroundColor(.secondary)
        }
    }
}
