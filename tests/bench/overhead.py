"""Measures the cost of streaming one token in Python, decoding excluded.

It measures a bare listener, which is the cost of the bindings alone, and the iteration over a
stream. It prints one line of JSON with medians in microseconds per token. "elapsed" is the wall
time with an engine that writes 50,000 words at once. "processor, alone" is the processor time with
an engine that writes one word per millisecond, so that each word crosses the binding separately.

    target/venv-sdk/bin/python3 tests/bench/overhead.py
"""

import asyncio
import json
import time
from typing import Awaitable, Callable

import locket


class Listener(locket.TextListener):
    def on_chunks(self, chunks: list[locket.Chunk]) -> None:
        pass


async def overhead(words: int, word_ms: int, clock: Callable[[], float], rounds: int) -> list[float]:
    script = locket.FakeScript(text="word " * words, word_ms=word_ms, availability=locket.Availability.NO_MODEL())
    request = locket.GenerateRequest(item="x", task=locket.WritingTask.TEXT, reasoning=False)
    me = locket.Locket.fake(script)

    async def silent() -> None:
        await me.generate(request)

    async def listened() -> None:
        await me._engine.generate(request, Listener())

    async def streamed() -> None:
        async for _ in me.stream(request):
            pass

    async def once(call: Callable[[], Awaitable[None]]) -> float:
        begin = clock()
        await call()
        return clock() - begin

    async def micros(call: Callable[[], Awaitable[None]]) -> float:
        await once(call)
        all_of_them = sorted([await once(call) - await once(silent) for _ in range(rounds)])
        return round(all_of_them[rounds // 2] * 1e6 / words, 2)

    return [await micros(listened), await micros(streamed)]


async def main() -> None:
    listener, stream = await overhead(50_000, 0, time.perf_counter, 9)
    listener_alone, stream_alone = await overhead(2_000, 1, time.process_time, 5)
    print(json.dumps({"language": "python", "elapsed": {"listener": listener, "stream": stream},
                      "processor, alone": {"listener": listener_alone, "stream": stream_alone}}))


asyncio.run(main())
