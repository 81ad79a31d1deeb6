import LutbenchServer
import SwiftUI

@main
struct LutbenchApp: App {
    @StateObject private var phone = Phone()
    @Environment(\.scenePhase) private var phase

    var body: some Scene {
        WindowGroup {
            StatusView(phone: phone)
                .onChange(of: phase) { phone.isInFront = $0 == .active }
        }
    }
}
