//! Generated text as an iterator of chunks.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver},
    },
    thread::{self, JoinHandle},
};

use super::{Engine, GenerateRequest};
use crate::{Error, generation::output::Written, llm::LlmError};

/// The part of an output that a chunk belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The reasoning path.
    Plan,
    /// The text, the title or the rating.
    Output,
}

/// A chunk of an output. It consists of whole characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The part of the output.
    pub part: Part,
    /// The text.
    pub text: String,
}

/// The chunks of one output, from [`Engine::stream`]. Dropping it cancels the call.
///
/// [`Written::text`] from [`ChunkStream::finish`] is the text to keep: it can be shorter than the
/// chunks, because a length limit or the no-repeat constraint can cut the last sentence.
pub struct ChunkStream {
    chunks: Receiver<Chunk>,
    call: Option<JoinHandle<Result<Written, Error>>>,
    stopped: Arc<AtomicBool>,
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
        let (engine, stopped) = (self.clone(), Arc::new(AtomicBool::new(false)));
        let stop = stopped.clone();
        let call = move || {
            let planned = usize::from(request.planned());
            engine.generate_with(&request, &mut |event| {
                if stop.load(Ordering::Relaxed) {
                    return ControlFlow::Break(());
                }
                if event.piece.is_empty() {
                    return ControlFlow::Continue(());
                }
                let part = if event.phase < planned { Part::Plan } else { Part::Output };
                match sender.send(Chunk { part, text: event.piece.to_owned() }) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            })
        };
        let call = thread::Builder::new().name("locket-stream".into()).spawn(call);
        let call = call.map_err(|e| LlmError::Failed(e.to_string()))?;
        Ok(ChunkStream { chunks, call: Some(call), stopped })
    }
}

impl Iterator for ChunkStream {
    type Item = Chunk;

    fn next(&mut self) -> Option<Chunk> {
        self.chunks.recv().ok()
    }
}

impl ChunkStream {
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
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(call) = self.call.take() {
            let _ = call.join();
        }
    }
}
