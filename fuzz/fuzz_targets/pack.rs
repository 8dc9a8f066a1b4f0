//! Pack files: any bytes are rejected, or all queries on them succeed. This build does not compare
//! checksums, so that the fuzzer reaches the code after them.
#![no_main]

use std::{io::Write, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use locket::{Pack, internals::{context::retriever::Retriever, predict::{Predictor, Query}}};

static SCRATCH: LazyLock<std::path::PathBuf> = LazyLock::new(|| {
    let memory = std::path::Path::new("/dev/shm");
    let dir = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    dir.join(format!("locket-fuzz-{}.pack", std::process::id()))
});

fuzz_target!(|bytes: &[u8]| {
    let mut file = std::fs::File::create(&*SCRATCH).expect("scratch file");
    file.write_all(bytes).expect("scratch file");
    drop(file);
    let Ok(pack) = Pack::open(&*SCRATCH) else { return };
    let predictor = Predictor::new(&pack);
    for item in 0..pack.items().min(3) as u32 {
        let query = Query { history: vec![(item, 1.0)], diversity: 0.5, ..Query::default() };
        for predicted in predictor.predict(&query, 2) {
            predictor.explain(&query, predicted.item);
        }
        assert!(pack.texts(item).all(|t| t.stars.is_none_or(|s| s <= 5)));
        let _ = (pack.find(pack.item(item)), pack.item_title(item), pack.category(item), pack.people(item));
        Retriever::new(&pack, None).on_item(item, "kettle", 2);
    }
});
