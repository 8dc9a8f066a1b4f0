"""Locket: on-device text generation and item prediction in one user's style.

    import asyncio, locket

    async def main():
        model = locket.ModelConfig(path="gemma-3-270m-q4_k_m.gguf", adapter_path="gemma-3-270m-review.gguf")
        async with await locket.Locket.open("me", locket.generate_key(), model=model) as me:
            await me.record(locket.Interaction(item="mug", text="Keeps tea warm for an hour. My hands too.", rating=5))
            request = locket.GenerateRequest(item="pot", task=locket.WritingTask.TEXT, title="A pot at last")
            async for chunk in me.stream(request):
                if isinstance(chunk, locket.Chunk):
                    print(chunk.text, end="", flush=True)

    asyncio.run(main())

All calls are asynchronous and run off the event loop's thread. Cancelling a task stops its call
between two tokens.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

from ._core import (
    AugmentRequest,
    Augmented,
    Availability,
    Backend,
    Cancellation,
    Chunk,
    Device,
    Engine,
    EngineConfig,
    FakeScript,
    Failure,
    GenerateRequest,
    ImportFormat,
    ImportListener,
    ImportOptions,
    ImportReport,
    ImportSource,
    Interaction,
    Kind,
    Length,
    Link,
    ListenerError,
    LocketError,
    Logger,
    LogLevel,
    MemoryLevel,
    ModelConfig,
    Part,
    Plan,
    Power,
    Prediction,
    PredictRequest,
    Priority,
    Reason,
    Record,
    Resize,
    Stats,
    SkippedMessages,
    SkipReason,
    SyntheticText,
    TextListener,
    Thermal,
    Tone,
    WritingTask,
    Written,
    erase_store,
    generate_key,
    kind_named,
    set_kernel_dir,
    set_logger,
    update_pack,
    version,
)

__all__ = [
    "AugmentRequest",
    "Augmented",
    "Availability",
    "Backend",
    "Cancellation",
    "Chunk",
    "Device",
    "Engine",
    "EngineConfig",
    "Failure",
    "FakeScript",
    "GenerateRequest",
    "ImportFormat",
    "ImportListener",
    "ImportOptions",
    "ImportReport",
    "ImportSource",
    "Interaction",
    "Kind",
    "Length",
    "Link",
    "ListenerError",
    "Locket",
    "LocketError",
    "LogLevel",
    "Logger",
    "MemoryLevel",
    "ModelConfig",
    "Part",
    "Plan",
    "Power",
    "PredictRequest",
    "Prediction",
    "Priority",
    "Reason",
    "Record",
    "Resize",
    "Stats",
    "SkipReason",
    "SkippedMessages",
    "SyntheticText",
    "TextListener",
    "Thermal",
    "Tone",
    "WritingTask",
    "Written",
    "erase_store",
    "generate_key",
    "kind_named",
    "set_kernel_dir",
    "set_logger",
    "update_pack",
    "version",
]

__version__ = version()

# A call's thread returns from its callback shortly after its result is there. If Python ends in
# between, that thread ends the process with an error; it needs well under a millisecond.
atexit.register(time.sleep, 0.02)


class _Listener(TextListener):
    def __init__(self, tell: Callable[[list[Chunk]], None]) -> None:
        self._tell = tell

    def on_chunks(self, chunks: list[Chunk]) -> None:
        self._tell(chunks)


class _Progress(ImportListener):
    def __init__(self, tell: Callable[[int, int], None]) -> None:
        self._tell = tell

    def on_progress(self, done: int, total: int) -> None:
        self._tell(done, total)


def _source(source: bytes | str | os.PathLike[str]) -> ImportSource:
    if isinstance(source, bytes):
        return ImportSource.CONTENT(source)
    return ImportSource.PATH(os.fspath(source))


class Locket:
    """The on-device engine for one user: their history, predictions of their next items, and text
    generation in their style.

    Keep one instance per store. `async with` closes it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    async def open(
        cls,
        store_dir: str | os.PathLike[str],
        key: bytes,
        *,
        pack: str | os.PathLike[str] | None = None,
        model: ModelConfig | None = None,
        user_id: str | None = None,
        threads: int = 0,
    ) -> Locket:
        """Opens the user's store with its key of 32 bytes.

        Creates the store if it does not exist.
        """
        config = EngineConfig(
            store_dir=os.fspath(store_dir),
            pack_path=None if pack is None else os.fspath(pack),
            model=model,
            user_id=user_id,
            threads=threads,
        )
        return cls(await Engine.open(config, key))

    @classmethod
    def fake(cls, script: FakeScript) -> Locket:
        """Returns a fake for the tests of an app: it uses no files and no model, and its output is
        the script's."""
        return cls(Engine.fake(script))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def record(self, interaction: Interaction) -> int:
        """Stores a text by the user and returns its id. The text is on disk when this returns."""
        return await self._engine.record(interaction)

    async def history(self) -> list[Record]:
        """Returns all records, real and synthetic, oldest first by their times."""
        return await self._engine.history()

    async def forget(self, id: int) -> bool:
        """Permanently deletes the record with this id.

        Deleting a text by the user also deletes all synthetic texts, since they were generated from
        it. Returns whether the record existed.
        """
        return await self._engine.forget(id)

    async def predict(self, request: PredictRequest | None = None) -> list[Prediction]:
        """Returns the items that the user is most likely to interact with next, best first."""
        return await self._engine.predict(request or PredictRequest())

    async def generate(self, request: GenerateRequest) -> Written:
        """Generates a text, a title or a rating and returns the complete result."""
        return await self._engine.generate(request)

    async def drafts(self, request: GenerateRequest, count: int = 3) -> list[Written]:
        """Generates up to `count` (at most 8) different texts for one request, the best first."""
        return await self._engine.drafts(request, count)

    async def plan(self, request: GenerateRequest, count: int = 3) -> list[Plan]:
        """Proposes up to `count` (at most 4) different plans for a text, for `GenerateRequest.plan`."""
        return await self._engine.plan(request, count)

    async def sent(self, draft: str, interaction: Interaction) -> int:
        """Stores a sent text, with the length of its generated `draft` and the edits. Returns its id."""
        return await self._engine.sent(draft, interaction)

    async def stats(self) -> Stats:
        """Returns the statistics of the store and of sent drafts."""
        return await self._engine.stats()

    async def reset_learning(self) -> None:
        """Forgets the draft of every sent text. The texts stay."""
        await self._engine.reset_learning()

    async def stream(self, request: GenerateRequest) -> AsyncIterator[Chunk | Written]:
        """Generates text while it is iterated: yields one `Chunk` per chunk, then one `Written`.

        Closing the iterator stops the generation.
        """
        loop = asyncio.get_running_loop()
        chunks: deque[Chunk] = deque()
        news = asyncio.Event()

        def tell(new: list[Chunk]) -> None:
            chunks.extend(new)
            # Wake the loop once for all chunks that arrive before it runs: waking costs more than
            # the chunks.
            if len(chunks) == len(new):
                loop.call_soon_threadsafe(news.set)

        call = asyncio.ensure_future(self._engine.generate(request, _Listener(tell)))
        call.add_done_callback(lambda _: news.set())
        try:
            while True:
                while chunks:
                    yield chunks.popleft()
                if call.done():
                    break
                await news.wait()
                news.clear()
            yield await call
        finally:
            call.cancel()

    async def augment(
        self, request: AugmentRequest | None = None, on_chunk: Callable[[int, str], None] | None = None
    ) -> Augmented:
        """Generates synthetic texts for the predicted items. Calls of `generate` take precedence.

        `on_chunk` receives the item's number and the chunk of text, on a thread of the call. If a
        call is stopped, the next call continues it.
        """
        request = request or AugmentRequest()
        if on_chunk is None:
            return await self._engine.augment(request)

        def tell(new: list[Chunk], on_chunk: Callable[[int, str], None] = on_chunk) -> None:
            for chunk in new:
                on_chunk(chunk.item, chunk.text)

        return await self._engine.augment(request, _Listener(tell))

    async def prewarm(self, request: GenerateRequest) -> None:
        """Loads the data that a text like `request` needs, so that generation starts at once."""
        await self._engine.prewarm(request)

    async def availability(self) -> Availability:
        """Returns whether text generation is available, and the reason if it is not.

        Loads nothing.
        """
        return await self._engine.availability()

    async def backend(self) -> Backend:
        """Returns the devices that the model runs on and which of its parts are in memory."""
        return await self._engine.backend()

    async def use_model(self, model: ModelConfig) -> None:
        """Sets the model for all later calls."""
        await self._engine.use_model(model)

    async def export(self) -> str:
        """Returns all data in the store as JSON, for its owner."""
        return await self._engine.export()

    async def import_export(self, export: str) -> int:
        """Adds the records of an export that the store lacks. Returns the number of new records."""
        return await self._engine.import_export(export)

    async def import_writing(
        self,
        source: bytes | str | os.PathLike[str],
        options: ImportOptions | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> ImportReport:
        """Adds the user's own texts from mail, chats, notes and tables that the store lacks.

        `source` is a path, or the content of a file. All texts are added or none. `on_progress`
        receives the number of bytes done and in all, on a thread of the call.
        """
        listener = None if on_progress is None else _Progress(on_progress)
        return await self._engine.import_writing(_source(source), options or ImportOptions(), listener)

    async def preview_writing(
        self,
        source: bytes | str | os.PathLike[str],
        options: ImportOptions | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> ImportReport:
        """Returns the report of `import_writing` without a change of the store."""
        listener = None if on_progress is None else _Progress(on_progress)
        return await self._engine.preview_writing(_source(source), options or ImportOptions(), listener)

    async def audience(self, address: str) -> str:
        """Returns the opaque id of a recipient, for `audience` of records and requests.

        White space around the address and letter case do not matter.
        """
        return await self._engine.audience(address)

    async def erase(self) -> None:
        """Stops every call and deletes all stored data of the user. Later calls fail."""
        await self._engine.erase()

    async def close(self) -> None:
        """Stops every call, closes the store and releases all memory."""
        await self._engine.shutdown()

    def release_memory(self, level: MemoryLevel) -> None:
        """Releases memory. Returns without waiting."""
        self._engine.release_memory(level)

    def pause(self, priority: Priority | None = None) -> None:
        """Pauses decoding between two tokens until `resume`.

        With a priority, only its calls pause.
        """
        self._engine.pause(priority)

    def resume(self, priority: Priority | None = None) -> None:
        """Resumes decoding after `pause`. With a priority, only its calls resume."""
        self._engine.resume(priority)

    def allow_gpu(self, allowed: bool) -> None:
        """Sets whether calls that start later may use a GPU."""
        self._engine.allow_gpu(allowed)

    def set_conditions(self, thermal: Thermal, power: Power) -> None:
        """Sets the device's thermal state and power source."""
        self._engine.set_conditions(thermal, power)
