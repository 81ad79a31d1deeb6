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
}
