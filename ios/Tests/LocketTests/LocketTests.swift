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

    func testRecordsAreForgottenAndImported() async throws {
        let locket = fake()
        try await locket.record(Interaction(item: "x", text: "mine"))
        try await locket.record(Interaction(item: "y", text: "mine too"))
        let export = try await locket.export()
        let first = try await locket.history()[0]
        let again = try await locket.importExport(export)
        XCTAssertEqual(again, 0)
        let forgotten = try await locket.forget(id: first.id)
        XCTAssertTrue(forgotten)
        let twice = try await locket.forget(id: first.id)
        XCTAssertFalse(twice)
        let items = try await locket.history().map(\.interaction.item)
        XCTAssertEqual(items, ["y"])
        let added = try await locket.importExport(export)
        XCTAssertEqual(added, 1)
    }

    func testAStoreIsErasedWithoutItsKey() async throws {
        let dir = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        defer { try? FileManager.default.removeItem(at: dir) }
        let locket = try await Locket.open(EngineConfig(storeDir: dir.path), key: generateKey())
        try await locket.record(Interaction(item: "x", text: "mine"))
        await locket.close()
        try await Locket.erase(storeDir: dir.path)
        XCTAssertFalse(FileManager.default.fileExists(atPath: dir.path))
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
