//! LoRA adapters (Hu et al., arXiv 2106.09685) as GGUF files.

use super::{Gguf, GgufError, Value};
use crate::llm::Calibration;

/// Metadata key of an adapter's [`Calibration`]: six 32-bit floats, the scale and the five biases.
pub const CALIBRATION: &str = "locket.rating.calibration";

/// Maximum rank of an update.
const MAX_RANK: u64 = 1 << 12;

/// Checks that `adapter` is a LoRA adapter for the model `base`. The architectures must be equal,
/// and every update must have the shape of a tensor in the model. The adapter's calibration, if
/// there is one, must be valid.
///
/// # Errors
/// [`GgufError::Adapter`] names the mismatch. `GgufError::Type` and `GgufError::NotText` report
/// a malformed metadata value.
pub fn check_adapter(adapter: &Gguf<'_>, base: &Gguf<'_>) -> Result<(), GgufError> {
    let bad = |what: String| GgufError::Adapter(what);
    for (key, wanted) in [("general.type", "adapter"), ("adapter.type", "lora")] {
        let is = adapter.text(key)?;
        if is != Some(wanted) {
            return Err(bad(format!("{key} is {is:?}, not {wanted:?}")));
        }
    }
    let (of, base_of) = (adapter.text("general.architecture")?, base.text("general.architecture")?);
    if of != base_of {
        return Err(bad(format!("it was made for {of:?}, the model is {base_of:?}")));
    }
    match adapter.get("adapter.lora.alpha") {
        Some(Value::Float(alpha)) if alpha.is_finite() => {}
        other => return Err(bad(format!("adapter.lora.alpha is {other:?}"))),
    }
    if adapter.get("adapter.alora.invocation_tokens").is_some() {
        return Err(bad("adapters that switch on at a token are not supported".into()));
    }
    calibration(adapter)?;
    if adapter.tensors.is_empty() {
        return Err(bad("it holds no tensors".into()));
    }
    for tensor in &adapter.tensors {
        let Some(name) = tensor.name.strip_suffix(".lora_a") else {
            let other = tensor.name.strip_suffix(".lora_b").map(|name| format!("{name}.lora_a"));
            if other.is_none_or(|a| adapter.tensor(&a).is_none()) {
                return Err(bad(format!("{} is not half of a pair", tensor.name)));
            }
            continue;
        };
        let Some(b) = adapter.tensor(&format!("{name}.lora_b")) else {
            return Err(bad(format!("{} is not half of a pair", tensor.name)));
        };
        let Some(target) = base.tensor(name) else {
            return Err(bad(format!("the model has no {name}")));
        };
        let flat = |t: &super::Tensor<'_>| t.shape[2] == 1 && t.shape[3] == 1 && t.dimensions == 2;
        let all_flat = [tensor, b, target].into_iter().all(flat);
        let (a, b, to) = (tensor.shape, b.shape, target.shape);
        // The embedding's rows are looked up rather than multiplied, so the two factors swap
        // places.
        let fits = match name == "token_embd.weight" {
            true => to[0] == b[1] && to[1] == a[1] && a[0] == b[0],
            false => to[0] == a[0] && to[1] == b[1] && a[1] == b[0],
        };
        if !fits || !all_flat || a[1].min(b[0]) > MAX_RANK {
            return Err(bad(format!("{name} is {}x{} in the model, the update is {a:?} by {b:?}", to[0], to[1])));
        }
    }
    Ok(())
}

/// Returns the rating calibration of an adapter's file; no correction if the file has none.
///
/// # Errors
/// [`GgufError::Adapter`] if the values are invalid, `GgufError::Type` if the entry is not an
/// array.
pub fn calibration(adapter: &Gguf<'_>) -> Result<Calibration, GgufError> {
    let Some(array) = adapter.array(CALIBRATION)? else { return Ok(Calibration::default()) };
    let float = |value| if let Value::Float(x) = value { x as f32 } else { f32::NAN };
    let numbers: Vec<f32> = array.scalars().map(|all| all.map(float).collect()).unwrap_or_default();
    let wrong = || GgufError::Adapter(format!("{CALIBRATION} is not a scale above 0 and five biases"));
    Calibration::of_numbers(&numbers).ok_or_else(wrong)
}
