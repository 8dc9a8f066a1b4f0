import XCTest
@testable import Locket

final class LocketTests: XCTestCase {
    private func fake(wordMs: UInt32 = 0, fails: Failure? = nil) -> Locket {
        let script = FakeScript(
            text: "Slow, and worth it.", items: ["a", "b"], wordMs: wordMs,
            availability: .available(neededBytes: 1), fails: fails)
        return Locket(engine: Engine.fake(script: script))
    }

    func testAStreamIsTheTextInChunks() async throws {
        var text = ""
        for try await writing in fake().stream(GenerateRequest(item: "x", task: .text)) {
            switch writing {
            case .chunk(_, let chunk): text += chunk
            case .finished(let written): XCTAssertEqual(written.text, text)
            }
        }
        XCTAssertEqual(text, "Slow, and worth it.")
    }

    func testACancelledTaskStopsItsCall() async throws {
        let locket = fake(wordMs: 10_000)
        let task = Task { try await locket.generate(GenerateRequest(item: "x", task: .text)) }
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

    func testSentDraftsAreCountedAndForgotten() async throws {
        let locket = fake()
        let request = GenerateRequest(task: .text, kind: kindNamed(name: "reply"), context: "Lunch?")
        let drafts = try await locket.drafts(request)
        XCTAssertEqual(drafts.map(\.text), ["Slow, and worth it."])
        let plans = try await locket.plan(request)
        XCTAssertEqual(plans.count, 1)
        let sent = Interaction(text: "Slow, but worth it.", kind: "reply")
        let id = try await locket.sent(sent, from: "Slow, and worth it.")
        let stats = try await locket.stats()
        XCTAssertEqual(stats.texts["reply"], 1)
        XCTAssertEqual(stats.heavilyEdited, 1)
        try await locket.resetLearning()
        let after = try await locket.stats()
        XCTAssertEqual(after.heavilyEdited, 0)
        let forgotten = try await locket.forget(id: id)
        XCTAssertTrue(forgotten)
    }

    func testOwnMessagesOfAChatAreImportedOnce() async throws {
        let chat = "12/05/26, 14:03 - Ada: Are you coming?\n12/05/26, 14:05 - Ben: sure, see you at 8\n"
        let locket = fake()
        let source = ImportSource.content(bytes: Data(chat.utf8))
        let options = ImportOptions(me: ["Ben"])
        let planned = try await locket.previewWriting(source, options: options)
        XCTAssertEqual(planned.taken, 1)
        let first = try await locket.importWriting(source, options: options) { _, _ in }
        XCTAssertEqual(first.taken, 1)
        let again = try await locket.importWriting(source, options: options)
        XCTAssertEqual(again.known, 1)
        let one = try await locket.audience("Ada")
        let other = try await locket.audience(" ada")
        XCTAssertEqual(one, other)
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

    func testAStreamWritesNothingBeforeItIsIterated() async throws {
        let engine = Counting()
        let stream = Locket(engine: engine).stream(GenerateRequest(item: "x", task: .text))
        try await Task.sleep(nanoseconds: 50_000_000)
        XCTAssertEqual(engine.calls, 0)
        for try await _ in stream {}
        XCTAssertEqual(engine.calls, 1)
    }

    func testASlowReaderGetsWhatWasWrittenMeanwhileAsOneChunk() async throws {
        var chunks: [String] = []
        for try await writing in fake(wordMs: 1).stream(GenerateRequest(item: "x", task: .text)) {
            guard case .chunk(_, let chunk) = writing else { continue }
            chunks.append(chunk)
            // The engine writes the rest before the next request.
            if chunks.count == 1 { try await Task.sleep(nanoseconds: 500_000_000) }
        }
        XCTAssertEqual(chunks.joined(), "Slow, and worth it.")
        XCTAssertLessThanOrEqual(chunks.count, 2)
    }

    func testACancelledStreamEndsWithAnError() async throws {
        let locket = fake(wordMs: 10_000)
        let task = Task {
            for try await _ in locket.stream(GenerateRequest(item: "x", task: .text)) {}
        }
        task.cancel()
        do {
            _ = try await task.value
            XCTFail("it was cancelled")
        } catch is CancellationError {
        }
    }

    func testAStreamCancelledWhileItIsReadEndsWithAnError() async throws {
        let locket = fake(wordMs: 10_000)
        let task = Task {
            for try await _ in locket.stream(GenerateRequest(item: "x", task: .text)) {}
        }
        try await Task.sleep(nanoseconds: 50_000_000)
        task.cancel()
        do {
            _ = try await task.value
            XCTFail("it was cancelled")
        } catch is CancellationError {
        }
    }

    func testLeavingTheLoopStopsTheWriting() async throws {
        let engine = Counting(wordMs: 20)
        for try await _ in Locket(engine: engine).stream(GenerateRequest(item: "x", task: .text)) { break }
        while engine.ended == 0 { try await Task.sleep(nanoseconds: 1_000_000) }
        XCTAssertEqual(engine.failed, 1)
    }

    func testTextsWaitWhileSyntheticOnesAreWritten() async throws {
        let locket = fake()
        locket.pause(.foreground)
        let text = Task { try await locket.generate(GenerateRequest(item: "x", task: .text)) }
        let augmented = try await locket.augment(AugmentRequest(count: 2))
        XCTAssertEqual(augmented.kept.count, 2)
        locket.resume(.foreground)
        let written = try await text.value
        XCTAssertEqual(written.text, "Slow, and worth it.")
    }

    func testAnErrorShowsItsMessageAlone() async throws {
        do {
            _ = try await fake(fails: .wouldNotFit).history()
            XCTFail("it was told to fail")
        } catch {
            XCTAssertEqual(error.localizedDescription, "the fake engine was told to fail like this")
        }
    }

    func testAModelIsImportedWholeOrNotAtAll() async throws {
        let files = FileManager.default
        let folder = files.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try files.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? files.removeItem(at: folder) }
        let source = files.temporaryDirectory.appendingPathComponent("model-\(UUID().uuidString).gguf")
        defer { try? files.removeItem(at: source) }
        try Data("abc".utf8).write(to: source)
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        // Target file absent, correct, and incorrect.
        for before in [nil, "abc", "cut off"] {
            let target = folder.appendingPathComponent(source.lastPathComponent)
            if let before { try Data(before.utf8).write(to: target) }
            let imported = try await Locket.importModel(from: source, sha256: abc, into: folder)
            XCTAssertEqual(try Data(contentsOf: imported), Data("abc".utf8))
        }
        do {
            _ = try await Locket.importModel(from: source, sha256: String(repeating: "0", count: 64), into: folder)
            XCTFail("it is another file")
        } catch is ChecksumError {
        }
        XCTAssertEqual(try files.contentsOfDirectory(atPath: folder.path), [source.lastPathComponent])
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

/// A fake engine that counts its calls, finished and failed ones included.
private final class Counting: Engine, @unchecked Sendable {
    private let inner: Engine
    private let lock = NSLock()
    private var counts = (calls: 0, ended: 0, failed: 0)

    init(wordMs: UInt32 = 0) {
        let script = FakeScript(
            text: "Slow, and worth it.", wordMs: wordMs, availability: .available(neededBytes: 1))
        inner = Engine.fake(script: script)
        super.init(noHandle: NoHandle())
    }

    required init(unsafeFromHandle handle: UInt64) {
        fatalError("it has no handle of its own")
    }

    var calls: Int { lock.withLock { counts.calls } }
    var ended: Int { lock.withLock { counts.ended } }
    var failed: Int { lock.withLock { counts.failed } }

    override func generate(
        request: GenerateRequest, listener: TextListener?, cancellation: Cancellation?
    ) async throws -> Written {
        lock.withLock { counts.calls += 1 }
        do {
            let written = try await inner.generate(
                request: request, listener: listener, cancellation: cancellation)
            lock.withLock { counts.ended += 1 }
            return written
        } catch {
            lock.withLock {
                counts.ended += 1
                counts.failed += 1
            }
            throw error
        }
    }
}
