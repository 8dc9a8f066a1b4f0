"""Writes LoRA weights of PEFT as a GGUF file that llama.cpp loads.

    adapter.py RUN/checkpoint.pt adapter.gguf --alpha 32
"""

import argparse
import re
from pathlib import Path

import gguf
import numpy as np
import torch

NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
# Names of the architecture: transformers' text model to llama.cpp.
ARCHITECTURES = {"gemma3_text": "gemma3"}


def file_name(name):
    layer, module, side = re.search(r"layers\.(\d+)\.(.+)\.lora_([AB])\.weight$", name).groups()
    return f"blk.{layer}.{NAMES[module]}.weight.lora_{side.lower()}"


def read(path, like):
    """Returns the weights of an adapter file under PEFT's names.

    Names and shapes are those of `like`.
    """
    tensors = {t.name: t for t in gguf.GGUFReader(str(path)).tensors}

    def weights(name, tensor):
        data = torch.from_numpy(np.array(tensors[file_name(name)].data, dtype=np.float32))
        if data.shape != tensor.shape:
            raise SystemExit(f"{path}: {name} is {tuple(data.shape)}, not {tuple(tensor.shape)}: another --rank?")
        return data.to(tensor.dtype)

    return {name: weights(name, tensor) for name, tensor in like.items()}


def write(path, state, alpha, model_type="gemma3_text", kind=np.float16):
    """Writes an adapter file.

    `state` maps PEFT's names to tensors: A is (rank, in), B is (out, rank).
    """
    writer = gguf.GGUFWriter(str(path), ARCHITECTURES[model_type])
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(alpha))
    for name, tensor in sorted(state.items()):
        writer.add_tensor(file_name(name), tensor.detach().float().cpu().numpy().astype(kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("checkpoint", type=Path)
    p.add_argument("out", type=Path)
    p.add_argument("--alpha", type=float, default=32)
    args = p.parse_args()
    write(args.out, torch.load(args.checkpoint, map_location="cpu", weights_only=True)["adapter"], args.alpha)


if __name__ == "__main__":
    main()
