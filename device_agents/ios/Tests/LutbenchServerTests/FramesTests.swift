import Foundation
import XCTest

@testable import LutbenchServer

/// Both ends of a connection: raw bytes go in at one, frames come out at the other.
private func ends() -> (raw: Int32, connection: Connection) {
    var pair: [Int32] = [0, 0]
    XCTAssertEqual(socketpair(AF_UNIX, streamSocket, 0, &pair), 0)
    return (pair[0], Connection(descriptor: pair[1]))
}

private func put(_ bytes: [UInt8], into descriptor: Int32, closes: Bool = true) {
    XCTAssertEqual(write(descriptor, bytes, bytes.count), bytes.count)
    if closes { close(descriptor) }
}

private func frame(_ kind: String, _ text: String) -> [UInt8] {
    let length = UInt32(text.utf8.count)
    return Array(kind.utf8) + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> UInt32($0)) } + Array(text.utf8)
}

final class FramesTests: XCTestCase {
    func testObjectsAndChunksArriveAsTheyWereSent() throws {
        let (raw, connection) = ends()
        let other = Connection(descriptor: raw)
        connection.greeted()
        other.greeted()
        let bytes = (0..<(1 << 20) + 5).map { UInt8(truncatingIfNeeded: $0) }
        let sender = Thread {
            try? other.send(["a": [1, "x"], "b": NSNull()])
            try? other.send(bytes: bytes)
        }
        sender.start()
        XCTAssertEqual(try connection.receiveObject(idleSeconds: 5)["a"] as? NSArray, [1, "x"] as NSArray)
        let first = try connection.receiveChunk(most: bytes.count)
        XCTAssertEqual(first + (try connection.receiveChunk(most: bytes.count - first.count)), bytes)
    }

    func testWhatIsNoFrameIsMalformed() {
        let cases: [([UInt8], String)] = [
            (frame("X", "{}"), "kind"), (frame("B", "{}"), "kind"), (frame("E", "{}"), "kind"), (frame("J", "[]"), "object"),
            (frame("J", "{"), "object"), (frame("J", "\u{0}"), "object"), (frame("J", ""), "object"),
            ([UInt8(ascii: "J"), 0, 0, 16, 1], "4096 are the most"), ([UInt8(ascii: "J"), 255, 255, 255, 255], "most"),
            (frame("J", String(repeating: "[", count: 4000)), "object"),
        ]
        for (bytes, said) in cases {
            let (raw, connection) = ends()
            put(bytes, into: raw)
            XCTAssertThrowsError(try connection.receiveObject(idleSeconds: 5)) { error in
                guard case FrameError.malformed(let why) = error else { return XCTFail("\(error) of \(bytes)") }
                XCTAssertTrue(why.contains(said), why)
            }
        }
    }

    func testAFrameThatEndsEarlyIsAConnectionThatWasClosed() {
        for count in 0..<frame("J", "{}").count {
            let (raw, connection) = ends()
            put(Array(frame("J", "{}").prefix(count)), into: raw)
            XCTAssertThrowsError(try connection.receiveObject(idleSeconds: 5)) { XCTAssertEqual($0 as? FrameError, .closed) }
        }
    }

    func testAClientThatSaysNothingIsSlow() {
        let (raw, connection) = ends()
        XCTAssertThrowsError(try connection.receiveObject(idleSeconds: 0.05)) { XCTAssertEqual($0 as? FrameError, .slow) }
        close(raw)
    }

    func testAChunkIsNeitherEmptyNorLongerThanWhatIsLeft() {
        for (bytes, most) in [(frame("B", ""), 5), (frame("B", "123456"), 5)] {
            let (raw, connection) = ends()
            connection.greeted()
            put(bytes, into: raw)
            XCTAssertThrowsError(try connection.receiveChunk(most: most))
        }
    }

    func testAnyBytesAreAFrameOrAnError() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            let (raw, connection) = ends()
            var bytes = (0..<Int.random(in: 0..<64, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            if Bool.random(using: &random) {  // often one that looks like a frame
                bytes = [UInt8(ascii: "J"), 0, 0, 0, UInt8(truncatingIfNeeded: bytes.count)] + bytes
            }
            put(bytes, into: raw)
            _ = try? connection.receiveObject(idleSeconds: 1)
        }
    }
}
