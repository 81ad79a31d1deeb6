// The app's server without the app, for tests on Linux: what iOS would say of the phone is read from standard input.
import Foundation
import LutbenchCore
import LutbenchServer
#if LUTBENCH_EXECUTORCH
import LutbenchExecuTorch
#endif

setvbuf(stdout, nil, Int32(_IOLBF), 0)

/// Ends the program with a message.
func fail(_ message: String) -> Never {
    FileHandle.standardError.write(Data("lutbench-app: \(message)\n".utf8))
    exit(2)
}

var options: [String: String] = [:]
var words = Array(CommandLine.arguments.dropFirst())
while words.count >= 2, words[0].hasPrefix("--") {
    options[String(words[0].dropFirst(2))] = words[1]
    words.removeFirst(2)
}
guard words.isEmpty, let folder = options["folder"] else {
    fail("--folder FOLDER [--library FILE] [--port N] [--wifi N] [--programs TABLE]")
}

var system = utsname()
uname(&system)
let release = withUnsafePointer(to: &system.release) {
    $0.withMemoryRebound(to: CChar.self, capacity: 65) { String(cString: $0) }
}
let facts = PhoneFacts(
    make: "Linux", machine: options["machine"] ?? "Linux", cpu: "unreadable", cores: ProcessInfo.processInfo.processorCount,
    memoryBytes: Int(ProcessInfo.processInfo.physicalMemory), os: "Linux \(release)", build: "unreadable",
    qos: "userInteractive"
)
lutbench_catch_fatal_signals()
#if LUTBENCH_EXECUTORCH
lutbench_add_executorch()
#endif
do {
    let engines = try options["programs"].map(ScriptedEngine.of) ?? []
    let server = try AppServer(folder: folder, library: options["library"], facts: facts, engines: engines)
    server.onResult = { FileHandle.standardError.write(Data("last result: \($0)\n".utf8)) }
    server.onEvent = { FileHandle.standardError.write(Data("\($0)\n".utf8)) }
    print("listening on 127.0.0.1:\(try server.listenForCable(port: UInt16(options["port"] ?? "0") ?? 0))")
    if let wifi = options["wifi"] {
        let (port, code) = try server.listenForWiFi(port: UInt16(wifi) ?? 0, loopbackOnly: true)
        print("wifi on 127.0.0.1:\(port) code \(code)")
    }
    print("ready")
    while let line = readLine() {
        guard let said = (try? JSONSerialization.jsonObject(with: Data(line.utf8))) as? [String: Any] else { continue }
        server.update { state in
            if let thermal = said["thermal"] as? String { state.thermal = PhoneState.Thermal(rawValue: thermal) ?? .nominal }
            if let lowPower = said["low_power"] as? Bool { state.lowPower = lowPower }
            if let isInFront = said["foreground"] as? Bool { state.isInFront = isInFront }
            if let battery = said["battery"] as? Double { state.battery = battery }
            if let isCharging = said["charging"] as? Bool { state.isCharging = isCharging }
        }
        print("updated")
    }
} catch {
    fail("\(error)")
}
