//! Lines of profile files: an accepted profile is usable.
#![no_main]

use libfuzzer_sys::fuzz_target;
use locket_builder::profile::Profile;

fuzz_target!(|line: &[u8]| {
    let Ok(profile) = Profile::from_json(line) else { return };
    assert!(profile.interactions().all(|(i, _)| i.defect().is_none()));
    assert!(!profile.user.trim().is_empty());
});
