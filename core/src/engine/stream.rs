//! Generated text as an iterator of chunks.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        mpsc::{self, Receiver},
    },
    thread::{self, JoinHandle},
};

use super::{Chunk, Engine, GenerateRequest};
use crate::{CancelToken, Error, generation::output::Written, llm::LlmError};

/// The chunks of one output, from [`Engine::stream`]. Dropping it cancels the call.
///
/// [`Written::text`] from [`ChunkStream::finish`] is the text to keep: it can be shorter than the
/// chunks, because a length limit or the no-repeat constraint can cut the last sentence.
pub struct ChunkStream {
    chunks: Receiver<Chunk>,
    call: Option<JoinHandle<Result<Written, Error>>>,
    cancel: CancelToken,
}

impl Engine {
    /// Generates on another thread and returns the chunks as they are decoded. Decoding does not
    /// wait for the reader, so an unread stream holds up no other call: one text is buffered at
    /// most.
    ///
    /// # Errors
    /// [`LlmError::Failed`] if the system cannot start a thread. Errors of the call itself come
    /// from [`ChunkStream::finish`].
    pub fn stream(self: &Arc<Self>, request: GenerateRequest) -> Result<ChunkStream, Error> {
        let (sender, chunks) = mpsc::channel();
        let (engine, cancel) = (self.clone(), CancelToken::new());
        let token = cancel.clone();
        let call = move || {
            engine.generate_with(&request, &mut |chunk| {
                if !chunk.text.is_empty() && sender.send(chunk).is_err() {
                    return ControlFlow::Break(());
                }
                token.flow()
            })
        };
        let call = thread::Builder::new().name("locket-stream".into()).spawn(call);
        let call = call.map_err(|e| LlmError::Failed(e.to_string()))?;
        Ok(ChunkStream { chunks, call: Some(call), cancel })
    }
}

impl Iterator for ChunkStream {
    type Item = Chunk;

    fn next(&mut self) -> Option<Chunk> {
        self.chunks.recv().ok()
    }
}

impl ChunkStream {
    /// Returns the token that cancels this call, for another thread. The stream then ends, and
    /// [`ChunkStream::finish`] returns [`Error::Cancelled`].
    pub fn cancel_token(&self) -> CancelToken {
        self.cancel.clone()
    }

    /// Waits for the end and returns the finished output.
    ///
    /// # Errors
    /// As [`Engine::generate`].
    pub fn finish(mut self) -> Result<Written, Error> {
        self.by_ref().for_each(drop);
        match self.call.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            _ => Err(LlmError::Failed("the call panicked".into()).into()),
        }
    }
}

impl Drop for ChunkStream {
    fn drop(&mut self) {
        self.cancel.cancel();
        if let Some(call) = self.call.take() {
            let _ = call.join();
        }
    }
}
