import Foundation
@_exported import LocketCore

/// The on-device engine for one user: their history, predictions of their next items, and text
/// generation in their style.
///
/// It is safe to use from any actor. Cancelling the task of a call stops the call between two
/// tokens. Keep one instance per store for the lifetime of the app.
public final class Locket: Sendable {
    private let engine: any EngineProtocol

    /// Creates a Locket with an engine: the real one, or `Engine.fake` in tests.
    public init(engine: any EngineProtocol) {
        self.engine = engine
    }

    /// Opens the user's store with its key of 32 bytes. Creates the store if it does not exist.
    public static func open(_ config: EngineConfig, key: Data) async throws -> Locket {
        Locket(engine: try await Engine.open(config: config, key: key))
    }

    /// Deletes all data of a store without its key, for a store with a lost key.
    ///
    /// No `Locket` may have the store open.
    public static func erase(storeDir: String) async throws {
        try await eraseStore(storeDir: storeDir)
    }

    /// Stores a text by the user and returns its id, for ``forget(id:)``. The text is on disk when this
    /// returns.
    @discardableResult
    public func record(_ interaction: Interaction) async throws -> UInt64 {
        try await engine.record(interaction: interaction)
    }

    /// Returns all records, real and synthetic, oldest first by their times.
    public func history() async throws -> [Record] {
        try await engine.history()
    }

    /// Permanently deletes the record with this id (`Record.id`).
    ///
    /// Deleting a text by the user also deletes all synthetic texts, since they were generated from
    /// it. Returns whether the record existed.
    public func forget(id: UInt64) async throws -> Bool {
        try await engine.forget(id: id)
    }

    /// Returns the items that the user is most likely to interact with next, best first.
    public func predict(_ request: PredictRequest = PredictRequest()) async throws -> [Prediction] {
        try await engine.predict(request: request)
    }

    /// Returns a sequence that generates text while it is iterated: one `chunk` per chunk of text, then one
    /// `finished`.
    ///
    /// Leaving the loop stops the generation.
    public func stream(_ request: GenerateRequest) -> WritingStream {
        WritingStream(engine: engine, request: request)
    }

    /// Generates a text, a title or a rating and returns the complete result.
    public func generate(_ request: GenerateRequest) async throws -> Written {
        let engine = self.engine
        return try await stoppable { cancellation in
            try await engine.generate(request: request, listener: nil, cancellation: cancellation)
        }
    }

    /// Generates up to `count` (at most 8) different texts for one request, the best first.
    public func drafts(_ request: GenerateRequest, count: Int = 3) async throws -> [Written] {
        let engine = self.engine
        return try await stoppable { cancellation in
            try await engine.drafts(request: request, count: UInt32(max(count, 1)), cancellation: cancellation)
        }
    }

    /// Proposes up to `count` (at most 4) different plans for a text: tone, length and points.
    ///
    /// The user chooses and edits one; `GenerateRequest.plan` has the text written to it.
    public func plan(_ request: GenerateRequest, count: Int = 3) async throws -> [Plan] {
        let engine = self.engine
        return try await stoppable { cancellation in
            try await engine.plan(request: request, count: UInt32(max(count, 1)), cancellation: cancellation)
        }
    }

    /// Stores a text that the user sent from `draft`, a generated text. Returns its id, for
    /// ``forget(id:)``.
    ///
    /// The draft is not stored, only its number of words and the share of edited words.
    @discardableResult
    public func sent(_ interaction: Interaction, from draft: String) async throws -> UInt64 {
        try await engine.sent(draft: draft, interaction: interaction)
    }

    /// Returns the statistics of the store and of sent drafts.
    public func stats() async throws -> Stats {
        try await engine.stats()
    }

    /// Forgets the draft of every sent text. The texts stay.
    public func resetLearning() async throws {
        try await engine.resetLearning()
    }

    /// Generates synthetic texts for the predicted items, in the background.
    ///
    /// Calls of `generate` take precedence. If a call is stopped, the next call continues it.
    public func augment(
        _ request: AugmentRequest = AugmentRequest(),
        onChunk: (@Sendable (_ item: Int, _ text: String) -> Void)? = nil
    ) async throws -> Augmented {
        let engine = self.engine
        let listener = onChunk.map { tell in ChunkListener { tell(Int($0.item), $0.text) } }
        return try await stoppable { cancellation in
            try await engine.augment(request: request, listener: listener, cancellation: cancellation)
        }
    }

    /// Loads the data that a text like `request` needs, so that generation starts at once.
    ///
    /// Call it when the input field gets the focus.
    public func prewarm(_ request: GenerateRequest) async throws {
        let engine = self.engine
        try await stoppable { cancellation in
            try await engine.prewarm(request: request, cancellation: cancellation)
        }
    }

    /// Returns whether text generation is available, and the reason if it is not. Loads nothing.
    public func availability() async -> Availability {
        await engine.availability()
    }

    /// Returns the devices that the model runs on and which of its parts are in memory.
    public func backend() async throws -> Backend {
        try await engine.backend()
    }

    /// Sets the model for all later calls.
    public func useModel(_ model: ModelConfig) async throws {
        try await engine.useModel(model: model)
    }

    /// Returns all data in the store as JSON, for its owner.
    public func export() async throws -> String {
        try await engine.export()
    }

    /// Adds the records of an export that the store lacks. Returns the number of new records.
    public func importExport(_ json: String) async throws -> UInt64 {
        try await engine.importExport(json: json)
    }

    /// Adds the user's own texts from mail, chats, notes and tables that the store lacks: all of them or
    /// none.
    ///
    /// `onProgress` receives the number of bytes done and in all, on a thread of the call.
    public func importWriting(
        _ source: ImportSource,
        options: ImportOptions = ImportOptions(),
        onProgress: (@Sendable (_ done: UInt64, _ total: UInt64) -> Void)? = nil
    ) async throws -> ImportReport {
        let engine = self.engine
        let listener = onProgress.map { ProgressListener($0) }
        return try await stoppable { cancellation in
            try await engine.importWriting(
                source: source, options: options, listener: listener, cancellation: cancellation)
        }
    }

    /// Returns the report of `importWriting` without a change of the store.
    public func previewWriting(
        _ source: ImportSource,
        options: ImportOptions = ImportOptions(),
        onProgress: (@Sendable (_ done: UInt64, _ total: UInt64) -> Void)? = nil
    ) async throws -> ImportReport {
        let engine = self.engine
        let listener = onProgress.map { ProgressListener($0) }
        return try await stoppable { cancellation in
            try await engine.previewWriting(
                source: source, options: options, listener: listener, cancellation: cancellation)
        }
    }

    /// Returns the opaque id of a recipient, for `audience` of records and requests.
    ///
    /// White space around the address and letter case do not matter.
    public func audience(_ address: String) async throws -> String {
        try await engine.audience(address: address)
    }

    /// Stops every call and deletes all stored data of the user. Later calls fail.
    public func erase() async throws {
        try await engine.erase()
    }

    /// Stops every call, closes the store and releases all memory.
    public func close() async {
        await engine.shutdown()
    }

    /// Releases memory. Returns without waiting.
    public func releaseMemory(_ level: MemoryLevel) {
        engine.releaseMemory(level: level)
    }

    /// Pauses decoding between two tokens until `resume`.
    ///
    /// With a priority, only calls of that priority pause.
    public func pause(_ priority: Priority? = nil) {
        engine.pause(priority: priority)
    }

    /// Resumes decoding after `pause`. With a priority, only calls of that priority resume.
    public func resume(_ priority: Priority? = nil) {
        engine.resume(priority: priority)
    }

    /// Sets whether calls that start later may use a GPU.
    ///
    /// The system terminates apps that use it in the background.
    public func allowGpu(_ allowed: Bool) {
        engine.allowGpu(allowed: allowed)
    }

    /// Sets the device's thermal state and power source.
    public func setConditions(thermal: Thermal, power: Power) {
        engine.setConditions(thermal: thermal, power: power)
    }

    /// Runs a call with a handle that cancels it.
    ///
    /// Swift does not pass a task's cancellation on to a foreign call.
    private func stoppable<T: Sendable>(
        _ call: @Sendable (Cancellation) async throws -> T
    ) async throws -> T {
        let cancellation = Cancellation()
        return try await withTaskCancellationHandler {
            try await call(cancellation)
        } onCancel: {
            cancellation.cancel()
        }
    }
}

final class ProgressListener: ImportListener {
    private let tell: @Sendable (UInt64, UInt64) -> Void

    init(_ tell: @escaping @Sendable (UInt64, UInt64) -> Void) {
        self.tell = tell
    }

    func onProgress(done: UInt64, total: UInt64) throws {
        tell(done, total)
    }
}

final class ChunkListener: TextListener {
    private let tell: @Sendable (Chunk) -> Void

    init(_ tell: @escaping @Sendable (Chunk) -> Void) {
        self.tell = tell
    }

    func onChunks(chunks: [Chunk]) throws {
        chunks.forEach(tell)
    }
}
