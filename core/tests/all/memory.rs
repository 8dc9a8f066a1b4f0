//! Tests of predicted memory against llama.cpp's report and the system's count.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    io,
    sync::{Arc, Mutex},
};

use locket::{
    KvType, LoadOptions, MemoryBudget, Model, Sampling,
    internals::llm::{DecoderOptions, Phase, Request, gguf},
};
use locket_tests::resident_bytes;
use tracing_subscriber::{filter::LevelFilter, fmt::MakeWriter};

/// A capture of llama.cpp's log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Log {
    /// Returns the bytes of all buffers reported since the last call.
    fn buffers(&self) -> f64 {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        let sizes = text.lines().filter_map(|l| l.split_once("buffer size = ")?.1.trim().split_once(" MiB"));
        sizes.map(|(n, _)| n.parse::<f64>().unwrap() * 1024.0 * 1024.0).sum()
    }
}

/// Each size runs in its own process: the allocator may keep memory that one decoder frees.
#[test]
#[ignore = "needs the default model"]
fn predicted_memory_is_within_five_percent() {
    let path = locket_tests::model();
    if let Ok(case) = std::env::var("LOCKET_MEMORY_CASE") {
        let [kv, context, contrast] = case.split(' ').collect::<Vec<_>>()[..] else { panic!("{case}") };
        let kv = if kv == "F16" { KvType::F16 } else { KvType::Q8 };
        let (context, contrast) = (context.parse().unwrap(), contrast.parse().unwrap());
        return one(&path, DecoderOptions { context, kv, threads: 2, contrast, ..Default::default() });
    }
    println!(
        "| KV | context | beside it | predicted | reported by llama.cpp | ratio | predicted resident | resident | ratio |"
    );
    for kv in ["F16", "Q8"] {
        for (context, contrast) in [(512, 0), (2048, 0), (2048, 1024), (8192, 0)] {
            let out = std::process::Command::new(std::env::current_exe().unwrap())
                .args([
                    "--nocapture",
                    "--include-ignored",
                    "--exact",
                    "memory::predicted_memory_is_within_five_percent",
                ])
                .env("LOCKET_MEMORY_CASE", format!("{kv} {context} {contrast}"))
                .output()
                .unwrap();
            let said = String::from_utf8(out.stdout).unwrap();
            let row = said.lines().find(|l| l.starts_with("row ")).unwrap_or_else(|| panic!("{said}"));
            let numbers: Vec<f64> = row.split_whitespace().skip(1).map(|n| n.parse().unwrap()).collect();
            let [reserved, reported, predicted, real] = numbers[..] else { panic!("{row}") };
            let (a, b) = (reserved / reported, predicted / real);
            let mb = |n: f64| format!("{:.1} MB", n / 1e6);
            let cells = [mb(reserved), mb(reported), format!("{a:.3}"), mb(predicted), mb(real), format!("{b:.3}")];
            println!("| {kv} | {context} | {contrast} | {} |", cells.join(" | "));
            assert!((a - 1.0).abs() <= 0.05 && (b - 1.0).abs() <= 0.05, "{kv} {context} {contrast}: {a} {b}");
        }
    }
}

fn one(path: &std::path::Path, options: DecoderOptions) {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().with_writer(log.clone()).with_max_level(LevelFilter::INFO).with_ansi(false);
    subscriber.init();
    let budget = MemoryBudget::of(&gguf::check_model(path).unwrap(), 0, &options);
    let before = resident_bytes();
    let model = Model::load(path, LoadOptions::default()).unwrap();
    let mut decoder = model.decoder(options).unwrap();
    let reported = log.buffers();
    // A prompt of several batches, so that every buffer is written at least once.
    let tokens = model.tokens(&"some words that fill a prompt ".repeat(80));
    let phase = Phase::new(8, Sampling::GREEDY);
    let request =
        Request { prompt: tokens[..400].to_vec(), phases: vec![phase], deadline: None, boundary: None, contrast: None };
    decoder.run_one(&request, &mut |_| std::ops::ControlFlow::Continue(())).unwrap();
    let real = resident_bytes() - before;
    println!("row {} {reported} {} {real}", budget.reserved(), budget.resident());
}
