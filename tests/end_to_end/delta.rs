//! `locket pack apply`, killed at any moment: the pack is the old one or the new one.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{fs, path::Path, process::Stdio, time::Instant};

use crate::common::{json, locket};

fn left(dir: &Path) -> usize {
    fs::read_dir(dir).unwrap().filter(|e| e.as_ref().unwrap().file_name().to_str().unwrap().ends_with(".part")).count()
}

#[cfg(unix)]
#[test]
fn killed_in_the_middle_of_an_update() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    json(path, "eval population --interactions 8000 --words 20 --out {}/p.jsonl");
    json(path, "pack build --profiles {}/p.jsonl --texts-per-item 4 --out {}/old.pack");
    json(path, "pack build --profiles {}/p.jsonl --out {}/new.pack");
    let key = json(path, "pack keys --signing-key {}/release.key")["public_key"].as_str().unwrap().to_owned();
    json(path, "pack diff {}/old.pack {}/new.pack --signing-key {}/release.key --out {}/update.delta");
    let [old, new] = ["old.pack", "new.pack"].map(|name| fs::read(path.join(name)).unwrap());
    let pack = path.join("shop.pack");
    let apply = || {
        let mut command = locket();
        command.args(["pack", "apply"]).args([&pack, &path.join("update.delta")]).args(["--public-key", &key]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    fs::write(&pack, &old).unwrap();
    let started = Instant::now();
    assert!(apply().status().unwrap().success());
    let takes = started.elapsed();
    assert!(fs::read(&pack).unwrap() == new);
    let (mut killed, mut most) = (0, 0);
    for n in 1..=40 {
        fs::write(&pack, &old).unwrap();
        let mut child = apply().spawn().unwrap();
        std::thread::sleep(takes * n / 40);
        let _ = child.kill();
        let done = child.wait().unwrap().success();
        let now = fs::read(&pack).unwrap();
        assert!(now == new || (!done && now == old), "kill {n}");
        killed += usize::from(now == old);
        most = most.max(left(path));
    }
    println!("of 40 kills {killed} left the old pack; scratch files at most {most}");
    assert!(killed > 0 && most <= 1, "{killed} {most}");
    // The next update removes the scratch files of a killed one.
    fs::write(&pack, &old).unwrap();
    assert!(apply().status().unwrap().success());
    assert_eq!(left(path), 0);
}
