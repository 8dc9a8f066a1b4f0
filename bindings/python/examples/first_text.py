# %% [markdown]
# # Generate a text in one user's style
# Cells for a notebook (Jupytext, VS Code, PyCharm). To run it as a program:
# `python3 first_text.py MODEL ADAPTER`.

# %%
import asyncio
import sys
import tempfile

import locket


# %% [markdown]
# Record three texts by the user, then generate a fourth.


# %%
async def main(model: str, adapter: str) -> None:
    config = locket.ModelConfig(path=model, adapter_path=adapter)
    with tempfile.TemporaryDirectory() as folder:
        async with await locket.Locket.open(folder, locket.generate_key(), model=config) as me:
            print(await me.availability())
            for item, text, rating in [
                ("mug", "Keeps tea warm for an hour. My hands too.", 5.0),
                ("kettle", "Loud. The cat left. The tea is fine.", 3.0),
                ("board", "Bread, knife, board. Nothing creaks.", 4.0),
            ]:
                await me.record(locket.Interaction(item=item, text=text, rating=rating))
            request = locket.GenerateRequest(item="pot", task=locket.WritingTask.TEXT, title="A pot at last")
            async for chunk in me.stream(request):
                if isinstance(chunk, locket.Chunk):
                    print(chunk.text, end="", flush=True)
                else:
                    print(f"\n{chunk.tokens} tokens, of the prompt {chunk.reused_tokens} were known")


# %%
if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
