import XCTest

@testable import LutbenchServer

final class PairingTests: XCTestCase {
    func testACodeIsTwelveLettersThatLookLikeNoOther() {
        let code = PairingCode()
        XCTAssertEqual(code.code.count, 12)
        XCTAssertNil(code.code.first { "OILU".contains($0) })
        XCTAssertEqual(code.shown.filter { $0 != "-" }, code.code)
        XCTAssertNotEqual(PairingCode().code, code.code)
    }

    func testFiveWrongTriesLockAndARightOneForgives() {
        let code = PairingCode()
        for left in [4, 3, 2] { XCTAssertEqual(code.countWrong(), left) }
        code.countRight()
        for left in [4, 3, 2, 1, 0] {
            XCTAssertFalse(code.isLocked)
            XCTAssertEqual(code.countWrong(), left)
        }
        XCTAssertTrue(code.isLocked)
    }

    func testHexIsReadAndWritten() {
        let bytes: [UInt8] = [0, 1, 15, 16, 255]
        XCTAssertEqual(Hex.encode(bytes), "00010f10ff")
        XCTAssertEqual(Hex.decode("00010f10ff"), bytes)
        for wrong in ["0", "0g", "AB", "é", "0x"] { XCTAssertNil(Hex.decode(wrong), wrong) }
    }

    func testAHostsKeyThatIsNoneMakesNoSecrets() {
        let code = PairingCode()
        XCTAssertNil(Pairing().secrets(host: [1, 2, 3], code: code))
        XCTAssertNil(Pairing().secrets(host: [UInt8](repeating: 0, count: 32), code: code))
        XCTAssertNotNil(Pairing().secrets(host: Pairing().publicKey, code: code))
    }

    func testAProofOfAnotherCodeOrLengthDoesNotProve() throws {
        let host = Pairing().publicKey
        let keys = Pairing()
        let mine = try XCTUnwrap(keys.secrets(host: host, code: PairingCode(code: "000000000000")))
        XCTAssertTrue(mine.proves(mine.expected))
        XCTAssertFalse(mine.proves([]))
        XCTAssertFalse(mine.proves(mine.expected + [0]))
        XCTAssertFalse(mine.proves(mine.proof))  // the app's own, sent back
        for at in mine.expected.indices {
            var other = mine.expected
            other[at] ^= 1
            XCTAssertFalse(mine.proves(other))
        }
        let others = try XCTUnwrap(keys.secrets(host: host, code: PairingCode(code: "000000000001")))
        XCTAssertFalse(mine.proves(others.expected))
    }

    func testWhatIsSealedOpensOnceAndInOrderAndUnchanged() throws {
        let (one, other) = ([UInt8](repeating: 1, count: 32), [UInt8](repeating: 2, count: 32))
        let draft = try XCTUnwrap(SecretStream(sent: one, received: other, header: [UInt8](repeating: 9, count: 24)))
        let reader = try XCTUnwrap(SecretStream(sent: other, received: one, header: draft.header))
        XCTAssertNil(SecretStream(sent: one, received: other, header: [1, 2]))
        let first = try draft.seal([1, 2, 3])
        let second = try draft.seal([])
        XCTAssertThrowsError(try reader.open(second))
        XCTAssertEqual(try reader.open(first), [1, 2, 3])
        XCTAssertThrowsError(try reader.open(first))
        var changed = second
        changed[0] ^= 1
        XCTAssertThrowsError(try reader.open(changed))
        XCTAssertThrowsError(try reader.open([1, 2]))
        XCTAssertEqual(try reader.open(second), [])
    }
}
