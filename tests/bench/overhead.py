"""What a streamed token costs beyond its decoding, in Python: an engine that writes 50,000 words at once, with and without
somebody who iterates over them. Prints one line of JSON.

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

    async def silent() -> float:
        begin = time.perf_counter()
        await me.write(request)
        return time.perf_counter() - begin

    async def streamed() -> float:
        begin = time.perf_counter()
        async for _ in me.tokens(request):
            pass
        return time.perf_counter() - begin

    await silent(), await streamed()
    micros = sorted([(await streamed() - await silent()) * 1e6 / WORDS for _ in range(9)])
    print(json.dumps({"language": "python", "microseconds_per_token": micros[4], "least": micros[0], "most": micros[8]}))


asyncio.run(main())
