use super::*;

#[test]
fn shares() {
    let users = |share: f64| (0..10_000).filter(|n| Share(share).validates(&format!("user {n}"))).count();
    assert_eq!((users(0.0), users(1.0)), (0, 10_000));
    assert!((1_800..2_200).contains(&users(0.2)), "{}", users(0.2));
    // Who is left out of a small share is left out of a larger one.
    assert!((0..1000).map(|n| n.to_string()).all(|u| !Share(0.2).validates(&u) || Share(0.3).validates(&u)));
}
