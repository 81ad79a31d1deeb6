import Foundation
import XCTest

@testable import LutbenchServer

final class StorageTests: XCTestCase {
    private var folder = ""
    // of "abc"
    private let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

    override func setUpWithError() throws {
        folder = NSTemporaryDirectory() + "lutbench-\(UUID().uuidString)"
    }

    override func tearDown() { try? FileManager.default.removeItem(atPath: folder) }

    private func put(_ storage: Storage, _ place: String, _ text: String, sum: String) throws {
        var rest = Array(text.utf8)
        try storage.put(place, sha256: sum, bytes: rest.count) { most in
            defer { rest.removeFirst(min(most, 2, rest.count)) }
            return Array(rest.prefix(min(most, 2)))
        }
    }

    func testAFileIsThereOnceItsHashWasRight() throws {
        let storage = try Storage(folder: folder)
        XCTAssertFalse(try storage.holds("artifacts/x/model.onnx"))
        XCTAssertThrowsError(try put(storage, "artifacts/x/model.onnx", "abd", sum: sum)) { error in
            guard case Storage.Problem.damaged = error else { return XCTFail("\(error)") }
        }
        XCTAssertFalse(try storage.holds("artifacts/x/model.onnx"))
        try put(storage, "artifacts/x/model.onnx", "abc", sum: sum)
        XCTAssertTrue(try storage.holds("artifacts/x/model.onnx"))
        XCTAssertEqual(try FileManager.default.contentsOfDirectory(atPath: folder + "/incoming"), [])
        XCTAssertTrue(try Storage(folder: folder).holds("artifacts/x/model.onnx"))  // the app was started again
        XCTAssertEqual(storage.clean(), 3)
        XCTAssertFalse(try storage.holds("artifacts/x/model.onnx"))
    }

    func testPlacesLeadNowhereElse() throws {
        let storage = try Storage(folder: folder)
        let wrong = [
            "", "artifacts", "artifacts/", "/artifacts/x", "artifacts/../x", "artifacts/./x", "artifacts/.x", "jobs/x",
            "incoming/x", "artifacts//x", "artifacts/a b", "artifacts/x\u{0}", "artifacts/é", "inputs/" + String(repeating: "x", count: 400),
            "artifacts/a/b/c/d/e/f",
        ]
        for place in wrong {
            XCTAssertNil(storage.path(of: place), place)
            XCTAssertThrowsError(try storage.holds(place))
            var asked = 0
            XCTAssertThrowsError(try storage.put(place, sha256: sum, bytes: 3) { _ in asked += 1; return [1] })
            XCTAssertEqual(asked, 3, "its bytes have to be taken off the connection all the same")
        }
        XCTAssertEqual(storage.path(of: "inputs/x.bin"), folder + "/inputs/x.bin")
    }

    func testAConnectionThatBreaksLeavesNothing() throws {
        let storage = try Storage(folder: folder)
        XCTAssertThrowsError(try storage.put("inputs/x", sha256: sum, bytes: 3) { _ in throw FrameError.closed })
        XCTAssertEqual(try FileManager.default.contentsOfDirectory(atPath: folder + "/incoming"), [])
    }

    func testAFileThatCannotFitIsRefusedAtOnce() throws {
        let storage = try Storage(folder: folder)
        var left = 3
        XCTAssertThrowsError(
            try storage.put("inputs/x", sha256: sum, bytes: Int.max / 2) { _ in
                left -= 1
                if left == 0 { throw FrameError.closed }
                return [0]
            })
        XCTAssertEqual(left, 0)
    }
}

final class PhoneStateTests: XCTestCase {
    func testWhatSpeaksAgainstMeasuring() {
        var state = PhoneState()
        XCTAssertNil(state.hindrance(waitsForHeat: true))
        for thermal in [PhoneState.Thermal.fair, .serious, .critical] {
            state.thermal = thermal
            XCTAssertEqual(state.hindrance(waitsForHeat: true)?.contains(thermal.rawValue), true)
            XCTAssertNil(state.hindrance(waitsForHeat: false))
        }
        state.lowPower = true
        XCTAssertEqual(state.hindrance(waitsForHeat: false), "low-power mode is on")
        state.isInFront = false
        XCTAssertEqual(state.hindrance(waitsForHeat: true), "the app is not in front")
    }
}

final class JobsTests: XCTestCase {
    func testAJobRunsOnceAndItsRecordsStay() throws {
        let folder = NSTemporaryDirectory() + "lutbench-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        _ = try Storage(folder: folder)
        let jobs = try XCTUnwrap(Jobs(root: folder, library: "/no/such/library"))
        XCTAssertNil(jobs.look("x", offset: 0, milliseconds: 0, most: 10))
        XCTAssertTrue(jobs.start("x", Array("no job".utf8)))
        let found = try XCTUnwrap(jobs.look("x", offset: 0, milliseconds: 5000, most: 1 << 20))
        XCTAssertTrue(found.done && !found.running && !found.more)
        XCTAssertTrue(String(decoding: found.data, as: UTF8.self).hasPrefix("{\"fatal\":"))
        XCTAssertTrue(jobs.start("x", Array("another".utf8)))  // known: its records are the first's
        let again = try XCTUnwrap(jobs.look("x", offset: 3, milliseconds: 0, most: 4))
        XCTAssertEqual(again.data, Array(found.data[3..<7]))
        XCTAssertTrue(again.more)
        let later = try XCTUnwrap(Jobs(root: folder, library: nil))  // the app was started again
        let kept = try XCTUnwrap(later.look("x", offset: 0, milliseconds: 0, most: 1 << 20))
        XCTAssertTrue(!kept.done && !kept.running && kept.data == found.data)
    }
}
