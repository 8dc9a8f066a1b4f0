//! Pack updates by signed deltas.

use std::{path::Path, sync::Arc};

use locket::CancelToken;

use crate::{Cancellation, LocketError, task};

/// Updates the pack file at `pack` with the file `delta`, made by `locket pack diff`. The delta
/// must be signed with the secret key of `public_key` (32 bytes) and made from this very pack. At
/// every moment the file is the old pack or the whole new one. An open engine continues with the
/// old pack until it is opened again. Returns the new pack's SHA-256.
#[uniffi::export(default(cancellation = None))]
pub async fn update_pack(
    pack: String,
    delta: String,
    public_key: Vec<u8>,
    cancellation: Option<Arc<Cancellation>>,
) -> Result<String, LocketError> {
    task::call(CancelToken::new(), cancellation, move |stop| {
        let key = public_key.try_into().map_err(|_| LocketError::BadInput("a public key has 32 bytes".into()))?;
        let (pack, delta) = (Path::new(&pack), Path::new(&delta));
        Ok(locket::apply_delta(pack, delta, &key, pack, &mut |_| stop.flow()).map_err(locket::Error::from)?.new_sha256)
    })
    .await
}
