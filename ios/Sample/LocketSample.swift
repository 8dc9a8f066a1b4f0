import Locket
import SwiftUI

/// An app that takes three reviews by the user and generates a fourth.
@main
struct LocketSample: App {
    var body: some Scene {
        WindowGroup { ReviewView() }
    }
}

@MainActor
final class Reviews: ObservableObject {
    @Published var texts = ["", "", ""]
    @Published var item = ""
    @Published var answer = ""
    @Published var writing = false

    private var locket: Locket?
    private var watcher: DeviceWatcher?
    private var task: Task<Void, Never>?

    func write() {
        task = Task {
            writing = true
            defer { writing = false }
            do {
                let locket = try await opened()
                for (n, text) in texts.enumerated() where !text.isEmpty {
                    try await locket.record(Interaction(item: "own-\(n + 1)", text: text))
                }
                answer = ""
                let request = GenerateRequest(item: item, task: .text, itemTitle: item)
                for try await writing in locket.stream(request) {
                    if case .chunk(.text, let chunk) = writing { answer += chunk }
                }
            } catch {
                answer = error.localizedDescription
            }
        }
    }

    func stop() {
        task?.cancel()
    }

    private func opened() async throws -> Locket {
        if let locket { return locket }
        guard let bundled = Bundle.main.url(forResource: "gemma-3-270m-q4_k_m", withExtension: "gguf"),
            let adapter = Bundle.main.url(forResource: "gemma-3-270m-review", withExtension: "gguf")
        else { throw CocoaError(.fileNoSuchFile) }
        // Files in the bundle can be memory-mapped from there.
        let locket = try await Locket.onDevice(model: ModelConfig(path: bundled.path, adapterPath: adapter.path))
        self.locket = locket
        watcher = DeviceWatcher(locket)
        return locket
    }
}

struct ReviewView: View {
    @StateObject private var reviews = Reviews()

    var body: some View {
        Form {
            Section("Three things you own") {
                ForEach(reviews.texts.indices, id: \.self) { n in
                    TextField("Review \(n + 1)", text: $reviews.texts[n], axis: .vertical)
                }
            }
            Section("The next one") {
                TextField("About what?", text: $reviews.item)
                Button(reviews.writing ? "Stop" : "Write it as I would") {
                    if reviews.writing { reviews.stop() } else { reviews.write() }
                }
                Text(reviews.answer)
            }
        }
    }
}
