import Foundation
import LocketCore

/// An element of a stream.
public enum Writing: Sendable {
    /// The next chunk of text. It holds whole characters.
    case chunk(part: Part, text: String)
    /// The last element: the complete result.
    case finished(Written)
}

/// An asynchronous sequence of the chunks of a text that is being generated.
///
/// Each iteration generates the text once, starting at the first requested element. Chunks
/// generated since the last element are merged into one, so a slow reader neither blocks the engine
/// nor lets chunks accumulate.
///
/// Leaving the loop stops the generation. In a cancelled task, the iteration ends with
/// `CancellationError`.
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
                    try await writer.chunks.next()
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

/// One call of `Engine.generate`. The call stops when its iterator releases it.
private final class Writer: Sendable {
    let chunks: Chunks
    private let cancellation = Cancellation()
    private let task: Task<Void, Never>

    init(_ engine: any EngineProtocol, _ request: GenerateRequest) {
        let (chunks, cancellation) = (Chunks(), self.cancellation)
        let listener = ChunkListener { chunks.add($0.part, $0.text) }
        self.chunks = chunks
        task = Task {
            do {
                chunks.finish(.success(try await engine.generate(
                    request: request, listener: listener, cancellation: cancellation)))
            } catch {
                chunks.finish(.failure(error))
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

/// The chunks that the reader has not requested yet, merged where neighbours share a part, and the
/// end.
private final class Chunks: @unchecked Sendable {
    private let lock = NSLock()
    private var waiting: [(part: Part, text: String)] = []
    private var end: Result<Written, any Error>?
    private var reader: CheckedContinuation<Writing, any Error>?

    func add(_ part: Part, _ text: String) {
        lock.withLock {
            if let last = waiting.indices.last, waiting[last].part == part {
                waiting[last].text += text
            } else {
                waiting.append((part, text))
            }
        }
        deliver()
    }

    func finish(_ result: Result<Written, any Error>) {
        lock.withLock { end = result }
        deliver()
    }

    /// Returns the next chunk or the end. Only one caller at a time may wait.
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
                let (part, text) = waiting.removeFirst()
                next = .success(.chunk(part: part, text: text))
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
