//! Packs brought up to date by signed deltas.

use std::{path::Path, sync::Arc};

use crate::{Cancellation, LocketError, task};

/// Turns the pack at `pack` into the one that `delta` (a file that `locket pack diff` made) leads to, if it was signed by the holder
/// of `public_key`, 32 bytes, and made from this very pack. The file is the old pack or the whole new one at every moment; an
/// engine that is open goes on with the old one until it is opened again. Returns the new pack's SHA-256.
#[uniffi::export(default(cancellation = None))]
pub async fn update_pack(
    pack: String,
    delta: String,
    public_key: Vec<u8>,
    cancellation: Option<Arc<Cancellation>>,
) -> Result<String, LocketError> {
    task::call(Arc::default(), cancellation, move |stop| {
        let key = public_key.try_into().map_err(|_| LocketError::BadInput("a public key has 32 bytes".into()))?;
        let (pack, delta) = (Path::new(&pack), Path::new(&delta));
        Ok(locket::apply_delta(pack, delta, &key, pack, || stop.flow()).map_err(locket::Error::from)?.new_sha256)
    })
    .await
}
