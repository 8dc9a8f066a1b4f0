"""Locket: text in one person's voice, predicted, planned and written on this machine.

    import asyncio, locket

    async def main():
        model = locket.ModelConfig(path="gemma-3-270m-q4_k_m.gguf", adapter_path="gemma-3-270m-locket.gguf")
        async with await locket.Locket.open("me", locket.generate_key(), model=model) as me:
            await me.record(locket.Interaction(item="mug", text="Keeps tea warm for an hour. My hands too.", rating=5))
            request = locket.GenerateRequest(item="pot", task=locket.WritingTask.TEXT, title="A pot at last")
            async for piece in me.stream(request):
                print(piece.text, end="", flush=True)

    asyncio.run(main())

Everything is asynchronous and runs off the event loop's thread; cancelling a task stops its call between two tokens.
"""

from __future__ import annotations

import asyncio
import enum
import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from ._core import (
    AugmentRequest,
    Augmented,
    Availability,
    Backend,
    Cancellation,
    Device,
    Engine,
    EngineConfig,
    FakeScript,
    Failure,
    GenerateRequest,
    Interaction,
    Length,
    Link,
    ListenerError,
    LocketError,
    Logger,
    LogLevel,
    MemoryLevel,
    ModelConfig,
    Piece,
    Plan,
    Power,
    Prediction,
    PredictRequest,
    Priority,
    Reason,
    Record,
    SyntheticText,
    TextListener,
    Thermal,
    Tone,
    WritingTask,
    Written,
    erase_store,
    generate_key,
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
    "Device",
    "Engine",
    "EngineConfig",
    "Failure",
    "FakeScript",
    "GenerateRequest",
    "Interaction",
    "Length",
    "Link",
    "ListenerError",
    "Locket",
    "LocketError",
    "LogLevel",
    "Logger",
    "MemoryLevel",
    "ModelConfig",
    "Phase",
    "Piece",
    "Plan",
    "Power",
    "PredictRequest",
    "Prediction",
    "Priority",
    "Reason",
    "Record",
    "SyntheticText",
    "TextListener",
    "Thermal",
    "Token",
    "Tone",
    "WritingTask",
    "Written",
    "erase_store",
    "generate_key",
    "set_kernel_dir",
    "set_logger",
    "update_pack",
    "version",
]

__version__ = version()


class Phase(enum.Enum):
    """What a piece belongs to."""

    PLAN = "plan"
    TEXT = "text"
    TITLE = "title"
    RATING = "rating"


@dataclass(frozen=True, slots=True)
class Token:
    """A new piece of text, whole characters."""

    phase: Phase
    text: str


class _Listener(TextListener):
    def __init__(self, tell: Callable[[list[Piece]], None]) -> None:
        self._tell = tell

    def on_pieces(self, pieces: list[Piece]) -> None:
        self._tell(pieces)


class Locket:
    """One person's Locket: what they wrote, what they would meet next, and new text in their voice.

    Keep one per store. `async with` closes it.
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
        """Opens the person's store with its key of 32 bytes, making it if there is none."""
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
        """For tests of apps: no files, no model, and it writes what it is told to."""
        return cls(Engine.fake(script))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def record(self, interaction: Interaction) -> None:
        """Keeps a text that the person wrote. When this returns, it is on disk."""
        await self._engine.record(interaction)

    async def history(self) -> list[Record]:
        """Everything recorded, real and synthetic, oldest first, by their times."""
        return await self._engine.history()

    async def forget(self, id: int) -> bool:
        """Removes the record with this id for good, and the synthetic texts that rest on it; returns whether there was one."""
        return await self._engine.forget(id)

    async def predict(self, request: PredictRequest | None = None) -> list[Prediction]:
        """The items that the person would likely meet next, best first."""
        return await self._engine.predict(request or PredictRequest())

    async def write(self, request: GenerateRequest) -> Written:
        """Writes a text, a title or a rating and returns it whole."""
        return await self._engine.generate(request)

    async def tokens(self, request: GenerateRequest) -> AsyncIterator[Token | Written]:
        """Writes while it is iterated: first token for token, then once what was written. Closing it stops the writing."""
        loop = asyncio.get_running_loop()
        pieces: deque[Piece] = deque()
        news = asyncio.Event()
        phases = _phases(request)

        def tell(new: list[Piece]) -> None:
            pieces.extend(new)
            # The loop is woken once for all that come before it looks: waking costs more than the pieces.
            if len(pieces) == len(new):
                loop.call_soon_threadsafe(news.set)

        call = asyncio.ensure_future(self._engine.generate(request, _Listener(tell)))
        call.add_done_callback(lambda _: news.set())
        try:
            while True:
                while pieces:
                    piece = pieces.popleft()
                    yield Token(phases[min(piece.phase, len(phases) - 1)], piece.text)
                if call.done():
                    break
                await news.wait()
                news.clear()
            yield await call
        finally:
            call.cancel()

    async def stream(self, request: GenerateRequest) -> AsyncIterator[Token]:
        """The same without the plan and the end: only what was asked for, as it is written."""
        wanted = _phases(request)[-1]
        stream = self.tokens(request)
        try:
            async for piece in stream:
                if isinstance(piece, Token) and piece.phase is wanted:
                    yield piece
        finally:
            await stream.aclose()  # type: ignore[attr-defined]

    async def augment(
        self, request: AugmentRequest | None = None, on_piece: Callable[[int, str], None] | None = None
    ) -> Augmented:
        """Writes synthetic texts for the items predicted next; `write` goes first meanwhile.

        `on_piece` is told the item's number and what was written, on a thread of the call's. A call that was stopped is
        continued by the next one.
        """
        request = request or AugmentRequest()
        if on_piece is None:
            return await self._engine.augment(request)

        def tell(new: list[Piece], on_piece: Callable[[int, str], None] = on_piece) -> None:
            for piece in new:
                on_piece(piece.item, piece.text)

        return await self._engine.augment(request, _Listener(tell))

    async def prewarm(self, request: GenerateRequest) -> None:
        """Loads what a text like `request` will need, so that it begins at once."""
        await self._engine.prewarm(request)

    async def availability(self) -> Availability:
        """Whether a text can be written here, and if not, why. Loads nothing."""
        return await self._engine.availability()

    async def backend(self) -> Backend:
        """What the model runs on, and what of it is in memory."""
        return await self._engine.backend()

    async def use_model(self, model: ModelConfig) -> None:
        """Takes a model from the next call on."""
        await self._engine.use_model(model)

    async def export(self) -> str:
        """Everything the store holds, for its owner: JSON."""
        return await self._engine.export()

    async def import_export(self, export: str) -> int:
        """Keeps what an export holds and the store does not; returns the number of new records."""
        return await self._engine.import_export(export)

    async def erase(self) -> None:
        """Stops every call and deletes everything that was kept of the person. Nothing can be called afterwards."""
        await self._engine.erase()

    async def close(self) -> None:
        """Stops every call, closes the store and gives all memory back."""
        await self._engine.shutdown()

    def release_memory(self, level: MemoryLevel) -> None:
        """Gives memory back, without waiting."""
        self._engine.release_memory(level)

    def pause(self, priority: Priority | None = None) -> None:
        """Stops decoding between two tokens until `resume`; with a priority only its calls, and the others go on."""
        self._engine.pause(priority)

    def resume(self, priority: Priority | None = None) -> None:
        """Goes on after `pause`; with a priority only its calls."""
        self._engine.resume(priority)

    def allow_gpu(self, allowed: bool) -> None:
        """Whether calls that begin later may use a GPU."""
        self._engine.allow_gpu(allowed)

    def set_conditions(self, thermal: Thermal, power: Power) -> None:
        """Sets how the device is."""
        self._engine.set_conditions(thermal, power)


def _phases(request: GenerateRequest) -> list[Phase]:
    wanted = {WritingTask.TEXT: Phase.TEXT, WritingTask.TITLE: Phase.TITLE, WritingTask.RATING: Phase.RATING}
    planned = request.reasoning or (request.task == WritingTask.TEXT and request.length is not None)
    return ([Phase.PLAN] if planned else []) + [wanted[request.task]]
