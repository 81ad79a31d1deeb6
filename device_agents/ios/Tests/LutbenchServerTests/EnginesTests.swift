import Foundation
import XCTest

@testable import LutbenchServer

final class EnginesTests: XCTestCase {
    private var folder = ""

    override func setUpWithError() throws {
        folder = NSTemporaryDirectory() + "lutbench-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder + "/jobs", withIntermediateDirectories: true)
        try Data("abc".utf8).write(to: URL(fileURLWithPath: folder + "/model"))
    }

    override func tearDown() { try? FileManager.default.removeItem(atPath: folder) }

    /// What it computes is its input and 1; the third run fails where it is told so.
    private final class Adds: Program {
        let isHalf = false
        let input = UnsafeMutableRawPointer.allocate(byteCount: 8, alignment: 8)
        let inputCount = 2
        let output = UnsafeMutableRawPointer.allocate(byteCount: 8, alignment: 8)
        let outputCount = 2
        let units: [ComputeUnit: Int] = [.ane: 3, .cpu: 1]
        let failsAt: Int
        var runs = 0
        let ended: () -> Void

        init(failsAt: Int, ended: @escaping () -> Void) {
            self.failsAt = failsAt
            self.ended = ended
        }

        deinit {
            input.deallocate()
            output.deallocate()
            ended()
        }

        func run() throws {
            runs += 1
            if runs == failsAt { throw EngineError("out of luck") }
            for place in 0..<2 {
                let value = input.load(fromByteOffset: 4 * place, as: Float.self)
                output.storeBytes(of: value + 1, toByteOffset: 4 * place, as: Float.self)
            }
        }
    }

    private final class Adder: ProgramEngine {
        let name = "adder"
        let runtime = "adder 1.0"
        var failsAt = 0
        var refused = ""
        var ended = 0

        func load(_ path: String) throws -> Program {
            if !refused.isEmpty { throw EngineError(refused) }
            XCTAssertEqual(FileManager.default.contents(atPath: path), Data("abc".utf8))
            return Adds(failsAt: failsAt) { [weak self] in self?.ended += 1 }
        }
    }

    private func records(_ jobs: Jobs, _ id: String) throws -> String {
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  // of "abc"
        let job =
            #"{"job":1,"nonce":"\#(id)","engine":"adder","threads":1,"check":true,"patience":0,"cycles":[[["a"],1,2,"c"]],"#
            + #""canaries":{"c":["a",1,0]},"artifacts":[{"name":"a","path":"model","sha256":"\#(sum)"}]}"# + "\n"
        XCTAssertTrue(jobs.start(id, Array(job.utf8)))
        let look = try XCTUnwrap(jobs.look(id, offset: 0, milliseconds: 10_000, most: 1 << 20))
        XCTAssertTrue(look.done)
        return String(decoding: look.data, as: UTF8.self)
    }

    func testAJobRunsOnAnEngineOfTheProgramsOwn() throws {
        let engine = Adder()
        let jobs = try XCTUnwrap(Jobs(root: folder, library: nil, engines: Engines([engine])))
        let said = try records(jobs, "00000000000000000000000000000001")
        XCTAssertTrue(said.contains(#""runtime":"adder 1.0""#), said)
        XCTAssertTrue(said.contains(#""units":{"ane":3,"cpu":1}"#), said)
        XCTAssertTrue(said.contains(#""size":2"#) && said.contains(#""cycle":0"#) && said.contains(#""end":"#), said)
        jobs.renew()
        _ = try records(jobs, "00000000000000000000000000000002")
        XCTAssertGreaterThanOrEqual(engine.ended, 1)  // the first session's program has gone with it
    }

    func testAJobIsToldInWordsAndSoIsWhatCameOfIt() throws {
        let jobs = try XCTUnwrap(Jobs(root: folder, library: nil, engines: Engines([Adder()])))
        let told = NSLock()
        var (changes, results): ([String], [String]) = ([], [])
        jobs.onChange = { text in told.withLock { changes.append(text) } }
        jobs.onResult = { text in told.withLock { results.append(text) } }
        _ = try records(jobs, "00000000000000000000000000000001")
        let said = try records(jobs, "00000000000000000000000000000002")  // the first one's end has been told by now
        XCTAssertEqual(told.withLock { Array(changes.prefix(3)) }, ["measuring a", "waiting for the host", "measuring a"])
        let result = try XCTUnwrap(told.withLock { results.first }, said)
        XCTAssertNotNil(result.range(of: #"^a: \d+\.\d us$"#, options: .regularExpression), result)
    }

    func testWordsOfJobsAndRecords() {
        let job = #"{"artifacts":[{},{}],"cycles":[[["a","b"],1,2,"c"],[["b"],0,1,"c"]]}"#
        let words = JobWords(Array(job.utf8))
        XCTAssertEqual(words.running, "measuring a and 1 more")
        let found = #"{"cycle":0,"ns":[[1],[5000,9000,2500]]}"# + "\t0a1b2c3d\n"
        XCTAssertEqual(words.result(of: Array((#"{"cut off":1,"# + "\n" + found).utf8)), "b: 5.0 us")
        let noise = #"{"cycle":1,"failed":"b"}"# + "\n" + #"{"cycle":7,"ns":[[1]]}"# + "\n" + #"{"cycle":1,"ns":[]}"# + "\n[[["
        XCTAssertEqual(words.result(of: Array((found + noise).utf8)), "b: 5.0 us")
        XCTAssertNil(words.result(of: Array(noise.utf8)))
        XCTAssertEqual(JobWords(Array(#"{"artifacts":[{},{}],"cycles":[]}"#.utf8)).running, "loading (2 artifacts)")
        for junk in ["", "[]", #"{"cycles":[[],[5],"x"],"artifacts":5}"#, String(repeating: "[", count: 4000)] {
            XCTAssertEqual(JobWords(Array(junk.utf8)).running, "loading (0 artifacts)", junk)
        }
    }

    func testWhatAnEngineRefusesOrFailsAtIsARecord() throws {
        let engine = Adder()
        let jobs = try XCTUnwrap(Jobs(root: folder, library: nil, engines: Engines([engine])))
        engine.refused = "no such \"unit\"" + String(repeating: "x", count: 400)
        XCTAssertTrue(try records(jobs, "00000000000000000000000000000001").contains(#""reason":"no such \"unit\"xx"#))
        engine.refused = ""
        engine.failsAt = 4
        let said = try records(jobs, "00000000000000000000000000000002")
        XCTAssertTrue(said.contains(#""loaded":"a""#) && said.contains("out of luck"), said)
    }

    private func unpack(_ bytes: [UInt8]) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: folder + "/archive"))
        try PackageArchive.unpack(folder + "/archive", into: folder + "/package")
    }

    /// A file of an archive; kind: "0" of a file.
    private func entry(_ name: String, _ content: String, kind: Character = "0") -> [UInt8] {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, _ start: Int) {
            for (place, byte) in text.utf8.enumerated() { header[start + place] = byte }
        }
        put(name, 0)
        put(String(content.utf8.count, radix: 8), 124)
        put("        ", 148)
        put(String(kind), 156)
        put("ustar", 257)
        put(String(header.reduce(0) { $0 + Int($1) }, radix: 8) + "\0", 148)
        let padding = (512 - content.utf8.count % 512) % 512
        return header + Array(content.utf8) + [UInt8](repeating: 0, count: padding)
    }

    func testAPackageIsUnpacked() throws {
        let long = String(repeating: "x", count: 700)
        try unpack(entry("a/b/c", "hello") + entry("d", "") + entry("e", long) + [UInt8](repeating: 0, count: 1024))
        let read = { FileManager.default.contents(atPath: self.folder + "/package/" + $0) }
        XCTAssertEqual(read("a/b/c"), Data("hello".utf8))
        XCTAssertEqual(read("d"), Data())
        XCTAssertEqual(read("e"), Data(long.utf8))
    }

    func testWhatIsNoPackageIsRefused() throws {
        XCTAssertThrowsError(try unpack([]))
        XCTAssertThrowsError(try unpack([UInt8](repeating: 1, count: 512)))
        XCTAssertThrowsError(try unpack(Array(entry("a", "hello").prefix(514))))
        XCTAssertThrowsError(try unpack(entry("a", "", kind: "2")))  // a link
        for name in ["/a", "../a", "a/../../b", "a//b", "", "."] {
            XCTAssertThrowsError(try unpack(entry(name, "x")), name)
        }
        XCTAssertThrowsError(try unpack((0..<17).flatMap { entry("f\($0)", "") }))
        var spoilt = entry("a", "hello")
        spoilt[0] = UInt8(ascii: "b")
        XCTAssertThrowsError(try unpack(spoilt))
    }
}
