import XCTest
@testable import Locket

final class LocketTests: XCTestCase {
    private func fake(wordMs: UInt32 = 0, fails: Failure? = nil) -> Locket {
        let script = FakeScript(
            text: "Slow, and worth it.", items: ["a", "b"], wordMs: wordMs,
            availability: .available(neededBytes: 1), fails: fails)
        return Locket(engine: Engine.fake(script: script))
    }

    func testAStreamIsTheTextInPieces() async throws {
        var text = ""
        for try await writing in fake().stream(GenerateRequest(item: "x", task: .text)) {
            switch writing {
            case .token(_, let piece): text += piece
            case .finished(let written): XCTAssertEqual(written.text, text)
            }
        }
        XCTAssertEqual(text, "Slow, and worth it.")
    }

    func testACancelledTaskStopsItsCall() async throws {
        let locket = fake(wordMs: 10_000)
        let task = Task { try await locket.write(GenerateRequest(item: "x", task: .text)) }
        task.cancel()
        do {
            _ = try await task.value
            XCTFail("it was cancelled")
        } catch LocketError.Cancelled {
        }
    }

    func testEveryFailureIsAnError() async throws {
        do {
            _ = try await fake(fails: .wouldNotFit).history()
            XCTFail("it was told to fail")
        } catch LocketError.WouldNotFit(let message) {
            XCTAssertFalse(message.isEmpty)
        }
    }
}
