#if canImport(Glibc)
@_exported import Glibc
let streamSocket = Int32(SOCK_STREAM.rawValue)
let noSignal = Int32(MSG_NOSIGNAL)
let keepAliveIdle = TCP_KEEPIDLE

func withoutLeftovers<T>(_ body: () throws -> T) rethrows -> T { try body() }
#else
@_exported import Darwin
let streamSocket = SOCK_STREAM
let noSignal: Int32 = 0  // the socket has an option for that
let keepAliveIdle = TCP_KEEPALIVE

func withoutLeftovers<T>(_ body: () throws -> T) rethrows -> T { try autoreleasepool(invoking: body) }
#endif

/// Seconds of a clock that only goes on.
func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// The system's words for the last error.
func lastError() -> String { String(cString: strerror(errno)) }
