"""What a streamed token costs beyond its decoding, in Python: an engine that writes 50,000 words at once, alone, with a bare
listener (the bindings' own cost), and with somebody who iterates over a stream. Prints one line of JSON: medians of 9.

    target/venv-sdk/bin/python3 tests/bench/overhead.py
"""

import asyncio
import json
import time

import locket

WORDS = 50_000


async def main() -> None:
    script = locket.FakeScript(text="word " * WORDS, availability=locket.Availability.NO_MODEL())
    request = locket.GenerateRequest(item="x", task=locket.WritingTask.TEXT, reasoning=False)
    me = locket.Locket.fake(script)

    class Listener(locket.TextListener):
        def on_piece(self, piece: locket.Piece) -> None:
            pass

    async def silent() -> None:
        await me.write(request)

    async def listened() -> None:
        await me._engine.generate(request, Listener())

    async def streamed() -> None:
        async for _ in me.tokens(request):
            pass

    async def micros(what) -> float:
        async def once(call) -> float:
            begin = time.perf_counter()
            await call()
            return time.perf_counter() - begin

        await once(what)
        return sorted([(await once(what) - await once(silent)) * 1e6 / WORDS for _ in range(9)])[4]

    said = {"language": "python", "listener": await micros(listened), "stream": await micros(streamed)}
    print(json.dumps({key: round(v, 2) if isinstance(v, float) else v for key, v in said.items()}))


asyncio.run(main())
