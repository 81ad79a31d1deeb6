import Foundation

/// Why a connection is of no use any more.
public enum FrameError: Error, Equatable {
    case closed
    case slow
    case malformed(String)
}

/// Limits and kinds of docs/reference/iphone-protocol.md.
enum Frame {
    static let json = UInt8(ascii: "J")
    static let bytes = UInt8(ascii: "B")
    static let sealed = UInt8(ascii: "E")
    static let headerBytes = 5
    static let greetingBytes = 1 << 12
    static let jsonBytes = 1 << 20
    static let chunkBytes = 1 << 20
    /// Of a frame, from its first byte on.
    static let frameSeconds = 30.0
    static let sendSeconds = 30.0
}

/// One client's socket, spoken to in frames. One thread reads and answers; `stop` may come from another.
final class Connection {
    private let descriptor: Int32
    private var cipher: SecretStream?
    private var greeting = true

    init(descriptor: Int32) {
        self.descriptor = descriptor
        var limit = timeval(tv_sec: Int(Frame.sendSeconds), tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, socklen_t(MemoryLayout<Int32>.size))
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        for (option, value) in [(keepAliveIdle, 15), (TCP_KEEPINTVL, 15), (TCP_KEEPCNT, 3)] as [(Int32, Int32)] {
            var value = value  // a host that has gone without a word is noticed within a minute
            setsockopt(descriptor, Int32(IPPROTO_TCP), option, &value, socklen_t(MemoryLayout<Int32>.size))
        }
        #if canImport(Darwin)
        setsockopt(descriptor, SOL_SOCKET, SO_NOSIGPIPE, &on, socklen_t(MemoryLayout<Int32>.size))
        #endif
    }

    deinit { close(descriptor) }

    func seal(with cipher: SecretStream) { self.cipher = cipher }

    /// The greeting is over: frames may be longer from now on.
    func greeted() { greeting = false }

    /// Ends the connection from any thread: whoever reads or writes it finds it closed.
    func stop() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// The next JSON object. idleSeconds: until its first byte has to be there; nil: any time.
    func receiveObject(idleSeconds: Double?) throws -> [String: Any] {
        let data = try receive(Frame.json, limit: greeting ? Frame.greetingBytes : Frame.jsonBytes, idleSeconds: idleSeconds)
        guard let object = (try? JSONSerialization.jsonObject(with: Data(data))) as? [String: Any] else {
            throw FrameError.malformed("no JSON object")
        }
        return object
    }

    /// The next chunk, of at most so many bytes.
    func receiveChunk(most: Int) throws -> [UInt8] {
        let data = try receive(Frame.bytes, limit: min(Frame.chunkBytes, most), idleSeconds: Frame.frameSeconds)
        if data.isEmpty { throw FrameError.malformed("an empty chunk") }
        return data
    }

    func send(_ object: [String: Any]) throws {
        let data = try JSONSerialization.data(withJSONObject: object, options: [.sortedKeys])
        try send(Frame.json, [UInt8](data))
    }

    func send(bytes: [UInt8]) throws {
        var start = 0
        while start < bytes.count {
            let end = min(start + Frame.chunkBytes, bytes.count)
            try send(Frame.bytes, Array(bytes[start..<end]))
            start = end
        }
    }

    private func send(_ kind: UInt8, _ data: [UInt8]) throws {
        var kind = kind
        var body = data
        if let cipher {
            body = try cipher.seal([kind] + data)
            kind = Frame.sealed
        }
        let length = UInt32(body.count)
        var frame: [UInt8] = [kind]
        frame += [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> UInt32($0)) }
        frame += body
        var done = 0
        while done < frame.count {
            let count = frame.withUnsafeBytes { sendQuietly(descriptor, $0.baseAddress! + done, frame.count - done) }
            if count < 0 && errno == EINTR { continue }
            if count <= 0 { throw FrameError.closed }
            done += count
        }
    }

    private func receive(_ wanted: UInt8, limit: Int, idleSeconds: Double?) throws -> [UInt8] {
        try wait(until: idleSeconds.map { now() + $0 })
        let deadline = now() + Frame.frameSeconds
        let header = try exactly(Frame.headerBytes, deadline)
        let length = header[1...].reduce(0) { $0 << 8 | Int($1) }
        guard let cipher else {
            try check(header[0], wanted, length, limit)
            return try exactly(length, deadline)
        }
        try check(header[0], Frame.sealed, length, max(Frame.jsonBytes, Frame.chunkBytes) + 1 + SecretStream.overhead)
        let plain = try cipher.open(try exactly(length, deadline))
        guard let kind = plain.first else { throw FrameError.malformed("a sealed frame of nothing") }
        try check(kind, wanted, plain.count - 1, limit)
        return Array(plain[1...])
    }

    private func check(_ kind: UInt8, _ wanted: UInt8, _ length: Int, _ limit: Int) throws {
        if kind != wanted { throw FrameError.malformed("a frame of another kind") }
        if length > limit { throw FrameError.malformed("a frame of \(length) bytes, \(limit) are the most") }
    }

    private func exactly(_ count: Int, _ deadline: Double) throws -> [UInt8] {
        var data = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            try wait(until: deadline)
            let found = data.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress! + done, count - done, 0) }
            if found < 0 && errno == EINTR { continue }
            if found <= 0 { throw FrameError.closed }
            done += found
        }
        return data
    }

    /// Returns once there is something to read, or the other side has gone.
    private func wait(until deadline: Double?) throws {
        while true {
            let left = deadline.map { max(0, min(($0 - now()) * 1000, 1e9)) }
            var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let found = poll(&wanted, 1, left.map { Int32($0.rounded(.up)) } ?? -1)
            if found > 0 { return }
            if found == 0 { throw FrameError.slow }
            if errno != EINTR { throw FrameError.closed }
        }
    }
}

private func sendQuietly(_ descriptor: Int32, _ data: UnsafeRawPointer, _ count: Int) -> Int {
    send(descriptor, data, count, noSignal)
}
