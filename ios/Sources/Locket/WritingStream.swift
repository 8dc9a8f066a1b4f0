import Foundation
import LocketCore

/// What a stream brings.
public enum Writing: Sendable {
    /// A new piece of text, whole characters.
    case token(phase: Phase, text: String)
    /// The last: everything that was written.
    case finished(Written)
}

/// What a piece belongs to.
public enum Phase: Sendable {
    case plan, text, title, rating
}

extension GenerateRequest {
    var phases: [Phase] {
        let wanted: Phase
        switch task {
        case .text: wanted = .text
        case .title: wanted = .title
        case .rating: wanted = .rating
        }
        // A length that is asked for is planned.
        let planned = reasoning || (task == .text && length != nil)
        return planned ? [.plan, wanted] : [wanted]
    }
}

/// A text while it is written. Each iteration writes it once, from the first element that is asked for. Tokens that were written
/// since the last one come as one, so that a slow screen holds up nothing and nothing piles up.
///
/// Leaving the loop stops the writing. In a cancelled task the iteration ends with `CancellationError`.
public struct WritingStream: AsyncSequence, Sendable {
    public typealias Element = Writing

    let engine: any EngineProtocol
    let request: GenerateRequest

    public func makeAsyncIterator() -> Iterator {
        Iterator(engine: engine, request: request)
    }

    public struct Iterator: AsyncIteratorProtocol, Sendable {
        private let engine: any EngineProtocol
        private let request: GenerateRequest
        private var writer: Writer?
        private var ended = false

        init(engine: any EngineProtocol, request: GenerateRequest) {
            self.engine = engine
            self.request = request
        }

        public mutating func next() async throws -> Writing? {
            if ended { return nil }
            do {
                try Task.checkCancellation()
                let writer = self.writer ?? Writer(engine, request)
                self.writer = writer
                let writing = try await withTaskCancellationHandler {
                    try await writer.pieces.next()
                } onCancel: {
                    writer.stop()
                }
                if case .finished = writing { end() }
                return writing
            } catch LocketError.Cancelled {
                end()
                throw CancellationError()
            } catch {
                end()
                throw error
            }
        }

        private mutating func end() {
            ended = true
            writer = nil
        }
    }
}

/// One call of `Engine.generate`. It is stopped when nobody waits for it any more.
private final class Writer: Sendable {
    let pieces: Pieces
    private let cancellation = Cancellation()
    private let task: Task<Void, Never>

    init(_ engine: any EngineProtocol, _ request: GenerateRequest) {
        let phases = request.phases
        let (pieces, cancellation) = (Pieces(), self.cancellation)
        let listener = PieceListener { piece in
            let n = Int(piece.phase)
            pieces.add(n < phases.count ? phases[n] : .text, piece.text)
        }
        self.pieces = pieces
        task = Task {
            do {
                pieces.finish(.success(try await engine.generate(
                    request: request, listener: listener, cancellation: cancellation)))
            } catch {
                pieces.finish(.failure(error))
            }
        }
    }

    func stop() {
        cancellation.cancel()
        task.cancel()
    }

    deinit {
        stop()
    }
}

/// What was written and not yet asked for: at most one token of each phase, and the end.
private final class Pieces: @unchecked Sendable {
    private let lock = NSLock()
    private var waiting: [(phase: Phase, text: String)] = []
    private var end: Result<Written, any Error>?
    private var reader: CheckedContinuation<Writing, any Error>?

    func add(_ phase: Phase, _ text: String) {
        lock.withLock {
            if let last = waiting.indices.last, waiting[last].phase == phase {
                waiting[last].text += text
            } else {
                waiting.append((phase, text))
            }
        }
        deliver()
    }

    func finish(_ result: Result<Written, any Error>) {
        lock.withLock { end = result }
        deliver()
    }

    /// The next token, or the end. One caller at a time.
    func next() async throws -> Writing {
        try await withCheckedThrowingContinuation { continuation in
            lock.withLock { reader = continuation }
            deliver()
        }
    }

    private func deliver() {
        let delivery: (CheckedContinuation<Writing, any Error>, Result<Writing, any Error>)? = lock.withLock {
            guard let reader else { return nil }
            let next: Result<Writing, any Error>
            if !waiting.isEmpty {
                let (phase, text) = waiting.removeFirst()
                next = .success(.token(phase: phase, text: text))
            } else if let end {
                next = end.map(Writing.finished)
            } else {
                return nil
            }
            self.reader = nil
            return (reader, next)
        }
        if let (reader, next) = delivery { reader.resume(with: next) }
    }
}
