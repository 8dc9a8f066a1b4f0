import Foundation
@_exported import LocketCore

/// One person's Locket: what they wrote, what they would meet next, and new text in their voice, all on this device.
///
/// Safe from any actor. Cancelling the task of a call stops it between two tokens. Keep one per store, for as long as the app
/// runs.
public final class Locket: Sendable {
    private let engine: any EngineProtocol

    /// A Locket on an engine, the real one or `Engine.fake` in tests.
    public init(engine: any EngineProtocol) {
        self.engine = engine
    }

    /// Opens the person's store with its key of 32 bytes, making it if there is none.
    public static func open(_ config: EngineConfig, key: Data) async throws -> Locket {
        Locket(engine: try await Engine.open(config: config, key: key))
    }

    /// Deletes everything that a store holds, without its key: for a store whose key is lost. To be called while no `Locket` has
    /// it open.
    public static func erase(storeDir: String) async throws {
        try await eraseStore(storeDir: storeDir)
    }

    /// Keeps a text that the person wrote. When this returns, it is on disk.
    public func record(_ interaction: Interaction) async throws {
        try await engine.record(interaction: interaction)
    }

    /// Everything recorded, real and synthetic, oldest first, by their times.
    public func history() async throws -> [Record] {
        try await engine.history()
    }

    /// Removes the record with this id (`Record.id`) for good, and the synthetic texts that rest on it. Returns whether there
    /// was one.
    public func forget(id: UInt64) async throws -> Bool {
        try await engine.forget(id: id)
    }

    /// The items that the person would likely meet next, best first.
    public func predict(_ request: PredictRequest = PredictRequest()) async throws -> [Prediction] {
        try await engine.predict(request: request)
    }

    /// Writes while it is iterated: first token for token, then once `finished`. Whoever stops iterating stops the writing.
    public func stream(_ request: GenerateRequest) -> WritingStream {
        WritingStream(engine: engine, request: request)
    }

    /// Writes a text, a title or a rating and returns it whole.
    public func write(_ request: GenerateRequest) async throws -> Written {
        let engine = self.engine
        return try await stoppable { cancellation in
            try await engine.generate(request: request, listener: nil, cancellation: cancellation)
        }
    }

    /// Writes synthetic texts for the items predicted next, in the background: `write` goes first meanwhile. A call that was
    /// stopped is continued by the next one.
    public func augment(
        _ request: AugmentRequest = AugmentRequest(),
        onPiece: (@Sendable (_ item: Int, _ text: String) -> Void)? = nil
    ) async throws -> Augmented {
        let engine = self.engine
        let listener = onPiece.map { tell in PieceListener { piece in tell(Int(piece.item), piece.text) } }
        return try await stoppable { cancellation in
            try await engine.augment(request: request, listener: listener, cancellation: cancellation)
        }
    }

    /// Loads what a text like `request` will need, so that it begins at once: call it when the field gets the focus.
    public func prewarm(_ request: GenerateRequest) async throws {
        let engine = self.engine
        try await stoppable { cancellation in
            try await engine.prewarm(request: request, cancellation: cancellation)
        }
    }

    /// Whether a text can be written here, and if not, why. Loads nothing.
    public func availability() async -> Availability {
        await engine.availability()
    }

    /// What the model runs on, and what of it is in memory.
    public func backend() async throws -> Backend {
        try await engine.backend()
    }

    /// Takes a model from the next call on.
    public func useModel(_ model: ModelConfig) async throws {
        try await engine.useModel(model: model)
    }

    /// Everything the store holds, for its owner: JSON.
    public func export() async throws -> String {
        try await engine.export()
    }

    /// Keeps what an export holds and the store does not. Returns the number of new records.
    public func importExport(_ json: String) async throws -> UInt64 {
        try await engine.importExport(json: json)
    }

    /// Stops every call and deletes everything that was kept of the person. Nothing can be called afterwards.
    public func erase() async throws {
        try await engine.erase()
    }

    /// Stops every call, closes the store and gives all memory back.
    public func close() async {
        await engine.shutdown()
    }

    /// Gives memory back, without waiting.
    public func releaseMemory(_ level: MemoryLevel) {
        engine.releaseMemory(level: level)
    }

    /// Stops decoding between two tokens until `resume`; with a priority only its calls, and the others go on.
    public func pause(_ priority: Priority? = nil) {
        engine.pause(priority: priority)
    }

    /// Goes on after `pause`; with a priority only its calls.
    public func resume(_ priority: Priority? = nil) {
        engine.resume(priority: priority)
    }

    /// Whether calls that begin later may use a GPU: the system ends apps that use it in the background.
    public func allowGpu(_ allowed: Bool) {
        engine.allowGpu(allowed: allowed)
    }

    /// Sets how the device is.
    public func setConditions(thermal: Thermal, power: Power) {
        engine.setConditions(thermal: thermal, power: power)
    }

    /// Swift does not tell a foreign call that its task was cancelled; the handle does.
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

final class PieceListener: TextListener {
    private let tell: @Sendable (Piece) -> Void

    init(_ tell: @escaping @Sendable (Piece) -> Void) {
        self.tell = tell
    }

    func onPieces(pieces: [Piece]) throws {
        pieces.forEach(tell)
    }
}
