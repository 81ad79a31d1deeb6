import Foundation
import LutbenchCore

/// Takes hosts' connections and does what they ask: docs/reference/iphone-protocol.md.
public final class AppServer {
    public static let protocolVersion = 1
    public static let port: UInt16 = 50321
    public static let wifiPort: UInt16 = 50322
    static let holdSeconds = 60.0  // that the phone stays a host's once its connection has gone
    static let greetingSeconds = 10.0
    static let mostClients = 8
    static let pollMilliseconds: Int32 = 1000

    let storage: Storage
    let jobs: Jobs
    let facts: PhoneFacts
    let runtimes: [String: String]
    /// Told what happens, one line each.
    public var onEvent: ((String) -> Void)?
    /// Told what was measured last, and how long it took.
    public var onResult: ((String) -> Void)?

    private let lock = NSLock()
    private var state = PhoneState()
    private var waitsForHeat = true
    private var owner: (session: String, host: String)?
    private var ownerConnection: Connection?
    private var ownerLeft = 0.0
    private var clients = 0
    private var pairing: PairingCode?
    private var listeners: [UInt16: Listener] = [:]

    /// A socket that listens; `ended` is signalled once it is closed.
    private final class Listener {
        let descriptor: Int32
        let ended = DispatchSemaphore(value: 0)

        init(_ descriptor: Int32) { self.descriptor = descriptor }
    }

    /// library: ONNX Runtime's, nil where it is part of the program. folder: for files and records. engines: those that
    /// the core does not have itself.
    public init(folder: String, library: String?, facts: PhoneFacts, engines: [ProgramEngine] = []) throws {
        signal(SIGPIPE, SIG_IGN)
        storage = try Storage(folder: folder)
        guard let jobs = Jobs(root: folder, library: library, engines: Engines(engines)) else {
            throw FrameError.malformed("no memory")
        }
        self.jobs = jobs
        self.facts = facts
        runtimes = AppServer.runtimes(library: library, engines: engines)
        jobs.onChange = { [weak self] said in self?.onEvent?(said) }
        jobs.onResult = { [weak self] result in self?.onResult?(result) }
    }

    /// Name and version of what each engine runs.
    private static func runtimes(library: String?, engines: [ProgramEngine]) -> [String: String] {
        var found: [String: String] = [:]
        for engine in ["onnx", "executorch"] {
            var name = [CChar](repeating: 0, count: 200)
            lutbench_runtime(engine, library, &name, name.count)
            let runtime = String(cString: name)
            if !runtime.isEmpty { found[engine] = runtime }
        }
        for engine in engines { found[engine.name] = engine.runtime }
        return found
    }

    /// How the phone is; to be told whenever that changes.
    public func update(_ change: (inout PhoneState) -> Void) {
        let why: String? = locked {
            change(&state)
            return state.hindrance(waitsForHeat: waitsForHeat)
        }
        jobs.hold(why)
    }

    public var currentState: PhoneState { locked { state } }

    /// Listens on this device's loopback, which usbmux reaches, and nobody on the network. port 0: any. Returns the port.
    public func listenForCable(port: UInt16 = AppServer.port) throws -> UInt16 {
        try listen(address: INADDR_LOOPBACK, port: port, pairing: nil)
    }

    /// Listens for hosts that know the code; to be called again once it is locked, or to change the code.
    public func listenForWiFi(port: UInt16, loopbackOnly: Bool = false) throws -> (port: UInt16, code: String) {
        let code = PairingCode()
        locked { pairing = code }
        let address = loopbackOnly ? INADDR_LOOPBACK : INADDR_ANY
        return (try listen(address: address, port: port, pairing: code), code.shown)
    }

    /// Returns once the port is free again.
    public func stopListening(port: UInt16) {
        let listener = locked { listeners.removeValue(forKey: port) }
        _ = listener?.ended.wait(timeout: .now() + 3 * Double(AppServer.pollMilliseconds) / 1000)
    }

    // MARK: connections

    private func listen(address: UInt32, port: UInt16, pairing: PairingCode?) throws -> UInt16 {
        let descriptor = socket(AF_INET, streamSocket, 0)
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        var place = sockaddr_in()
        place.sin_family = sa_family_t(AF_INET)
        place.sin_port = port.bigEndian
        place.sin_addr.s_addr = address.bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &place) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, size) == 0 && systemListen(descriptor) == 0 && getsockname(descriptor, $0, &size) == 0
            }
        }
        guard descriptor >= 0, bound else {
            let why = lastError()
            close(descriptor)
            throw FrameError.malformed("cannot listen on port \(port): \(why)")
        }
        let actual = UInt16(bigEndian: place.sin_port)
        let listener = Listener(descriptor)
        locked { listeners[actual] = listener }
        startThread { [self] in accept(on: listener, port: actual, pairing: pairing) }
        return actual
    }

    private func accept(on listener: Listener, port: UInt16, pairing: PairingCode?) {
        while locked({ listeners[port] === listener }) {
            // waits in steps: not every system wakes an accept whose socket is let go of
            var wanted = pollfd(fd: listener.descriptor, events: Int16(POLLIN), revents: 0)
            if poll(&wanted, 1, AppServer.pollMilliseconds) <= 0 { continue }
            let client = systemAccept(listener.descriptor)
            if client < 0 {
                if errno != EINTR && errno != ECONNABORTED { usleep(200_000) }  // out of descriptors: they come back
                continue
            }
            let connection = Connection(descriptor: client)
            let admitted = locked {
                if clients >= AppServer.mostClients { return false }
                clients += 1
                return true
            }
            if !admitted { continue }  // it is closed
            startThread { [self] in
                serve(connection, pairing)
                locked {
                    clients -= 1
                    if ownerConnection === connection {
                        ownerConnection = nil
                        ownerLeft = now()
                    }
                }
                if let pairing, locked({ pairing.isLocked }) { stopListening(port: port) }
            }
        }
        close(listener.descriptor)
        listener.ended.signal()
    }

    private func serve(_ connection: Connection, _ pairing: PairingCode?) {
        do {
            guard try greet(connection, pairing) else { return }
            connection.greeted()
            while true {
                let request = try connection.receiveObject(idleSeconds: nil)
                try answer(request, connection)
            }
        } catch FrameError.malformed(let why) {
            try? connection.send(["error": "malformed", "message": why])
            onEvent?("a connection was closed: \(why)")
        } catch {
            // it has gone, or was too slow
        }
    }

    /// Whether both sides are who they should be.
    private func greet(_ connection: Connection, _ pairing: PairingCode?) throws -> Bool {
        let theirs = try connection.receiveObject(idleSeconds: AppServer.greetingSeconds)
        let app = String(cString: lutbench_version())
        guard theirs["lutbench"] as? Int == AppServer.protocolVersion else {
            let message = "the app speaks version \(AppServer.protocolVersion)"
            try connection.send([
                "lutbench": AppServer.protocolVersion, "app": app, "error": "protocol", "message": message,
            ])
            return false
        }
        guard let pairing else {
            try connection.send(["lutbench": AppServer.protocolVersion, "app": app])
            return true
        }
        if locked({ pairing.isLocked }) {
            try connection.send(["error": "locked", "message": "too many wrong pairing codes"])
            return false
        }
        let keys = Pairing()
        guard let key = (theirs["key"] as? String).flatMap(Hex.decode), let secrets = keys.secrets(host: key, code: pairing)
        else {
            try connection.send(["error": "key", "message": "without a cable a connection has to be sealed"])
            return false
        }
        try connection.send([
            "lutbench": AppServer.protocolVersion, "app": app, "key": Hex.encode(keys.publicKey),
            "salt": Hex.encode(pairing.salt),
        ])
        return try prove(connection, secrets, pairing)
    }

    private func prove(_ connection: Connection, _ secrets: Pairing.Secrets, _ pairing: PairingCode) throws -> Bool {
        let theirs = try connection.receiveObject(idleSeconds: AppServer.greetingSeconds)
        let proof = (theirs["proof"] as? String).flatMap(Hex.decode) ?? []
        let left: Int? = locked {
            if pairing.isLocked { return 0 }  // others were tried meanwhile
            if secrets.proves(proof) {
                pairing.countRight()
                return nil
            }
            return pairing.countWrong()
        }
        if let left {
            onEvent?("a wrong pairing code was tried")
            try connection.send(
                left == 0
                    ? ["error": "locked", "message": "too many wrong pairing codes"]
                    : ["error": "wrong_code", "message": "the pairing code is wrong", "left": left])
            return false
        }
        guard let header = (theirs["header"] as? String).flatMap(Hex.decode),
            let cipher = SecretStream(sent: secrets.sent, received: secrets.received, header: header)
        else { throw FrameError.malformed("no header of a secret stream") }
        try connection.send(["proof": Hex.encode(secrets.proof), "header": Hex.encode(cipher.header)])
        connection.seal(with: cipher)
        return true
    }

    // MARK: questions

    private func answer(_ request: [String: Any], _ connection: Connection) throws {
        if let session = request["open"] as? String {
            return try connection.send(open(session, request, connection))
        }
        guard locked({ ownerConnection === connection }) else {
            throw FrameError.malformed("the phone was not opened by this connection, or was taken over")
        }
        if request["state"] != nil {
            try connection.send(["state": currentState.entry])
        } else if let wanted = request["missing"] as? [Any] {
            try connection.send(missing(wanted))
        } else if let place = request["put"] as? String {
            try put(place, request, connection)
        } else if let id = request["job"] as? String {
            try job(id, request, connection)
        } else if let id = request["look"] as? String {
            try look(id, request, connection)
        } else if request["end"] is String {
            end()
            try connection.send(["ended": true])
        } else if request["renew"] != nil {
            jobs.renew()
            try connection.send(["renewed": true])
        } else if request["clean"] != nil {
            try connection.send(jobs.running == nil ? ["freed_bytes": storage.clean()] : busy)
        } else if request["bye"] != nil {
            locked { owner = nil }
            _ = jobs.stop("its host has gone")
            update { _ in }
            try connection.send(["bye": true])
        } else {
            try connection.send(["error": "unknown", "message": "the app does not know what is asked"])
        }
    }

    private let busy: [String: Any] = ["error": "busy_job", "message": "a job is still measured"]

    private func open(_ session: String, _ request: [String: Any], _ connection: Connection) -> [String: Any] {
        guard session.utf8.count == 32, Hex.decode(session) != nil else {
            return ["error": "session", "message": "a session is 32 hexadecimal digits"]
        }
        let host = String((request["host"] as? String ?? "").prefix(64))
        let heat = request["heat_wait"] as? Bool ?? true
        let (refusal, earlier, isNew): (String?, Connection?, Bool) = locked {
            if let owner, owner.session != session {
                let gone = ownerConnection == nil ? now() - ownerLeft : 0
                if gone < AppServer.holdSeconds { return (owner.host, nil, false) }
            }
            let isNew = owner?.session != session
            let earlier = ownerConnection
            owner = (session, host)
            ownerConnection = connection
            waitsForHeat = heat
            return (nil, earlier === connection ? nil : earlier, isNew)
        }
        if let refusal { return ["error": "busy", "message": refusal.isEmpty ? "another host has it" : "it is \(refusal)'s"] }
        earlier?.stop()  // its cable was pulled, and nobody had noticed
        if isNew && jobs.stop("its host has gone") { storage.empty("jobs") }  // what that one measured nobody will read
        update { _ in }
        onEvent?("opened by \(host)")
        return ["opened": true, "device": facts.entry, "state": currentState.entry, "runtimes": runtimes]
    }

    private func missing(_ wanted: [Any]) -> [String: Any] {
        var places: [String] = []
        for entry in wanted {
            guard let pair = entry as? [Any], pair.count == 2, let place = pair[0] as? String,
                let there = try? storage.holds(place)
            else { return ["error": "place", "message": "a file's place cannot be one"] }
            if !there { places.append(place) }
        }
        return ["missing": places, "free_bytes": storage.freeBytes]
    }

    private func put(_ place: String, _ request: [String: Any], _ connection: Connection) throws {
        let bytes = try count(request, "bytes", most: Storage.mostBytes)
        let sha256 = request["sha256"] as? String ?? ""
        do {
            try storage.put(place, sha256: sha256, bytes: bytes) { try connection.receiveChunk(most: $0) }
            try connection.send(["stored": place])
        } catch Storage.Problem.place {
            try connection.send(["error": "place", "message": "a file's place cannot be one"])
        } catch Storage.Problem.space(let why) {
            try connection.send(["error": "space", "message": why])
        } catch Storage.Problem.damaged(let why) {
            try connection.send(["error": "damaged", "message": why])
        } catch Storage.Problem.failed(let why) {
            try connection.send(["error": "storage", "message": why])
        }
    }

    private func job(_ id: String, _ request: [String: Any], _ connection: Connection) throws {
        var left = try count(request, "bytes", most: 64 << 20)
        var data: [UInt8] = []
        while left > 0 {
            let chunk = try connection.receiveChunk(most: left)
            left -= chunk.count
            data += chunk
        }
        guard id.utf8.count == 32, Hex.decode(id) != nil, !data.isEmpty else {
            return try connection.send(["error": "job", "message": "a job is named by 32 hexadecimal digits"])
        }
        try connection.send(jobs.start(id, data) ? ["started": id] : busy)
    }

    private func look(_ id: String, _ request: [String: Any], _ connection: Connection) throws {
        let offset = try count(request, "offset", most: 1 << 40)
        let milliseconds = try count(request, "wait_ms", most: 20_000)
        guard id.utf8.count == 32, Hex.decode(id) != nil else {
            return try connection.send(["error": "job", "message": "a job is named by 32 hexadecimal digits"])
        }
        let found = jobs.look(id, offset: offset, milliseconds: milliseconds, most: 4 << 20)
        let data = found?.data ?? []
        try connection.send([
            "done": found?.done ?? false, "running": found?.running ?? false, "more": found?.more ?? false,
            "bytes": data.count, "state": currentState.entry,
        ])
        try connection.send(bytes: data)
    }

    /// A runtime that does not come back cannot be stopped but with the whole app; its last record says what it was at.
    private func end() {
        if jobs.running != nil {
            onEvent?("a job hangs: the app ends itself")
            startThread {
                usleep(300_000)  // until the host has its answer
                kill(getpid(), SIGTERM)
            }
        }
    }

    private func count(_ request: [String: Any], _ key: String, most: Int) throws -> Int {
        guard let value = request[key] as? Int, value >= 0, value <= most else {
            throw FrameError.malformed("\(key) is no number up to \(most)")
        }
        return value
    }

    private func locked<T>(_ body: () -> T) -> T {
        lock.lock()
        defer { lock.unlock() }
        return body()
    }
}

private func startThread(_ body: @escaping () -> Void) {
    let thread = Thread { body() }
    thread.stackSize = 4 << 20
    thread.start()
}

private func systemListen(_ descriptor: Int32) -> Int32 { listen(descriptor, 8) }

private func systemAccept(_ descriptor: Int32) -> Int32 { accept(descriptor, nil, nil) }
