"""
Torch's own ONNX export of a checkpoint. Nothing runs it: it is there to be compared with the graphs
that src/gpu/graph builds.

    python export_onnx.py --checkpoint OUT/checkpoint/fp16 --out OUT/onnx

Writes text_encoder (input_ids, attention_mask → prompt_embeds [B, L, 1152]), transformer
(hidden_states [B, S, 48], encoder_hidden_states, timestep = sigma, img_ids and txt_ids int64
[1, S, 4] → out_sample) and vae_decoder (latent_sample → sample), all float32 with int8 weights
that are dequantised in the graph, tokenizer and scheduler, vae_decoder/latents_bn.json (undo it and
unfold the patches before the decoder) and generation.json. Finally it compares a picture with
diffusers'. Sessions need `session.disable_quant_qdq = 1`: without it ONNX Runtime computes in int8.
"""

import argparse
import json
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from diffusers import Flux2KleinPipeline
from onnx import NodeProto, helper, numpy_helper
from torch import Tensor, nn
from torch.export import Dim

from int8_grid import is_large, to_int8
from make_reference import CALL, STEPS, draw_latents, load_pipeline
from model import (
    PACKED_CHANNELS,
    PIXELS_PER_TOKEN,
    latent_statistics,
    pack_tokens,
    position_ids,
    unpack_tokens,
    unpatchify,
)
from text import EMBEDDING_WIDTH, HIDDEN_LAYERS, MAX_TOKENS

SESSION_CONFIG = {"session.disable_quant_qdq": "1"}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--checkpoint", type=Path, required=True, help="plain diffusers folder (expand_int8.py)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write, emptied first")
    return parser.parse_args()


class TextEncoder(nn.Module):
    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states = self.encoder(
            input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True
        ).hidden_states
        return torch.cat([states[layer] for layer in HIDDEN_LAYERS], -1)


class Transformer(nn.Module):
    def __init__(self, transformer: nn.Module):
        super().__init__()
        self.transformer = transformer

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        timestep: Tensor,
        img_ids: Tensor,
        txt_ids: Tensor,
    ) -> Tensor:
        return self.transformer(
            hidden_states=hidden_states,
            encoder_hidden_states=encoder_hidden_states,
            timestep=timestep,
            img_ids=img_ids,
            txt_ids=txt_ids,
            return_dict=False,
        )[0]


class Decoder(nn.Module):
    def __init__(self, decoder: nn.Module):
        super().__init__()
        self.decoder = decoder

    def forward(self, latent_sample: Tensor) -> Tensor:
        return self.decoder(latent_sample)


Axes = dict[str, dict[int, str]]
"""For each input and output, which of its dimensions stay open, and their names."""


def export_by_tracing(
    module: nn.Module, inputs: dict[str, Tensor], output: str, axes: Axes, path: Path
) -> None:
    path.parent.mkdir(parents=True)
    torch.onnx.export(
        module.eval(),
        tuple(inputs.values()),
        path,
        input_names=list(inputs),
        output_names=[output],
        dynamic_axes=axes,
        opset_version=17,
        dynamo=False,
        do_constant_folding=True,
    )


def export_by_dynamo(
    module: nn.Module, inputs: dict[str, Tensor], output: str, axes: Axes, path: Path
) -> None:
    """For what the tracing exporter lacks (RMSNorm). It invents names for open dimensions."""
    path.parent.mkdir(parents=True)
    torch.onnx.export(
        module.eval(),
        tuple(inputs.values()),
        path,
        input_names=list(inputs),
        output_names=[output],
        dynamic_shapes=tuple(dict.fromkeys(axes.get(name, {}), Dim.DYNAMIC) for name in inputs),
        opset_version=18,
        dynamo=True,
        external_data=False,
    )
    model = onnx.load(path)
    for value in [*model.graph.input, *model.graph.output]:
        for dimension, name in axes.get(value.name, {}).items():
            value.type.tensor_type.shape.dim[dimension].dim_param = name
    # the shapes in between still use the invented names
    del model.graph.value_info[:]
    onnx.save(model, path)


def store_weights_as_int8(path: Path) -> None:
    """
    Replaces large float32 weights by int8 ones and a DequantizeLinear each. They lie on the grid
    of `int8_grid`, so nothing is lost where the graph kept the checkpoint's rows as an axis.
    """
    model = onnx.load(path)
    graph = model.graph
    users: dict[str, tuple[NodeProto, int]] = {}
    for node in graph.node:
        for place, name in enumerate(node.input):
            users.setdefault(name, (node, place))
    stored, nodes, exact, large = [], [], 0, 0
    for tensor in graph.initializer:
        weight = numpy_helper.to_array(tensor)
        if weight.dtype != np.float32 or not is_large(weight.shape) or weight.ndim not in (2, 4):
            stored.append(tensor)
            continue
        axis = output_axis(*users[tensor.name])
        values, scale = to_int8(weight, axis)
        others = tuple(dimension for dimension in range(weight.ndim) if dimension != axis)
        exact += np.array_equal(values.astype(np.float32) * np.expand_dims(scale, others), weight)
        large += 1
        parts = {"q": values, "s": scale, "z": np.zeros(scale.shape, np.int8)}
        names = [f"{tensor.name}_{suffix}" for suffix in parts]
        stored += map(numpy_helper.from_array, parts.values(), names)
        nodes.append(
            helper.make_node(
                "DequantizeLinear", names, [tensor.name], name=f"{tensor.name}_dq", axis=axis
            )
        )
    nodes += graph.node
    for part in [model, graph, *nodes, *graph.input, *graph.output, *stored]:
        # notes of the exporter, source lines of this machine among them
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    del graph.initializer[:], graph.node[:], graph.value_info[:]
    graph.initializer.extend(stored)
    graph.node.extend(nodes)
    onnx.save(model, path)
    size = path.stat().st_size / 1e6
    print(f"{path.parent.name}: {size:.1f} MB, {exact} of {large} large weights exact as int8")


def output_axis(node: NodeProto, place: int) -> int:
    """The axis of a weight that is the checkpoint's first: the exporter transposes some."""
    if node.op_type in ("Gather", "Conv"):
        return 0
    if node.op_type == "Gemm":
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        return 0 if transposed else 1
    return 1


def export_all(pipeline: Flux2KleinPipeline, out: Path) -> None:
    image_ids, text_ids = (ids[None] for ids in position_ids(16, 16, "cpu"))
    tokens = torch.randint(5, 100, (2, MAX_TOKENS))
    text_axes = {0: "batch", 1: "seq"}
    export_by_tracing(
        TextEncoder(pipeline.text_encoder),
        {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)},
        "prompt_embeds",
        {"input_ids": text_axes, "attention_mask": text_axes, "prompt_embeds": text_axes},
        out / "text_encoder" / "model.onnx",
    )
    export_by_dynamo(
        Transformer(pipeline.transformer),
        {
            "hidden_states": torch.randn(2, 256, PACKED_CHANNELS),
            "encoder_hidden_states": torch.randn(2, MAX_TOKENS, EMBEDDING_WIDTH),
            "timestep": torch.tensor([0.5, 0.7]),
            "img_ids": image_ids,
            "txt_ids": text_ids,
        },
        "out_sample",
        {
            "hidden_states": {0: "batch", 1: "img_seq"},
            "encoder_hidden_states": {0: "batch", 1: "txt_seq"},
            "timestep": {0: "batch"},
            "img_ids": {1: "img_seq"},
            "txt_ids": {1: "txt_seq"},
            "out_sample": {0: "batch", 1: "img_seq"},
        },
        out / "transformer" / "model.onnx",
    )
    export_by_tracing(
        Decoder(pipeline.vae.decoder),
        {"latent_sample": torch.randn(1, pipeline.vae.config.latent_channels, 32, 32)},
        "sample",
        {
            "latent_sample": {0: "batch", 2: "h", 3: "w"},
            "sample": {0: "batch", 2: "H", 3: "W"},
        },
        out / "vae_decoder" / "model.onnx",
    )


def copy_settings(pipeline: Flux2KleinPipeline, checkpoint: Path, out: Path) -> None:
    """Everything that is needed to run the graphs and is not in them."""
    for part in ("tokenizer", "scheduler"):
        shutil.copytree(checkpoint / part, out / part)
    shutil.copyfile(checkpoint / "model_index.json", out / "model_index.json")
    for graph, part in (
        ("transformer", "transformer"),
        ("text_encoder", "text_encoder"),
        ("vae_decoder", "vae"),
    ):
        shutil.copyfile(checkpoint / part / "config.json", out / graph / "config.json")
    mean, deviation = latent_statistics(pipeline.vae)
    write_json(
        out / "vae_decoder" / "latents_bn.json",
        {"mean": mean.flatten().tolist(), "std": deviation.flatten().tolist()},
    )
    write_json(
        out / "generation.json",
        {
            "pipeline": "Flux2KleinPipeline",
            "num_inference_steps": STEPS,
            "guidance_scale": CALL["guidance_scale"],
            "max_sequence_length": MAX_TOKENS,
            "text_encoder_out_layers": HIDDEN_LAYERS,
            "height": 256,
            "width": 256,
            "sizes": [[128, 128], [256, 256]],
            "sigmas": sigmas_of(pipeline)[:-1],
            "vae_scale_factor": 8,
            "latent_channels": pipeline.vae.config.latent_channels,
            "ort_session_config": SESSION_CONFIG,
        },
    )


def write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def sigmas_of(pipeline: Flux2KleinPipeline) -> list[float]:
    """The scheduler's noise levels for STEPS steps, the final 0 included."""
    pipeline.scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / STEPS, STEPS))
    return [round(float(sigma), 6) for sigma in pipeline.scheduler.sigmas]


def compare_picture(pipeline: Flux2KleinPipeline, out: Path, prompt: str, resolution: int) -> None:
    """Draws one picture with both and prints how far apart they are, in levels of 0..255."""
    options = onnxruntime.SessionOptions()
    for key, value in SESSION_CONFIG.items():
        options.add_session_config_entry(key, value)
    text_encoder, transformer, decoder = (
        onnxruntime.InferenceSession(
            out / part / "model.onnx", options, providers=["CPUExecutionProvider"]
        )
        for part in ("text_encoder", "transformer", "vae_decoder")
    )
    latents = draw_latents(0, resolution)
    size = {"height": resolution, "width": resolution}
    expected = pipeline(prompt=prompt, latents=latents, **size, **CALL).images[0]

    encoded = pipeline.tokenizer(
        prompt, padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="np"
    )
    feeds = {name: encoded[name] for name in ("input_ids", "attention_mask")}
    embeddings = text_encoder.run(None, feeds)[0]
    side = resolution // PIXELS_PER_TOKEN
    image_ids, text_ids = (ids[None].numpy() for ids in position_ids(side, side, "cpu"))
    tokens = pack_tokens(latents).numpy()
    sigmas = sigmas_of(pipeline)
    for sigma, following in pairwise(sigmas):
        velocity = transformer.run(
            None,
            {
                "hidden_states": tokens,
                "encoder_hidden_states": embeddings,
                "timestep": np.array([sigma], np.float32),
                "img_ids": image_ids,
                "txt_ids": text_ids,
            },
        )[0]
        tokens = tokens + np.float32(following - sigma) * velocity
    mean, deviation = latent_statistics(pipeline.vae)
    patches = unpack_tokens(torch.from_numpy(tokens), side, side) * deviation + mean
    sample = decoder.run(None, {"latent_sample": unpatchify(patches).numpy()})[0]
    picture = np.rint((np.clip(sample[0].transpose(1, 2, 0), -1, 1) * 0.5 + 0.5) * 255)
    difference = np.abs(picture - np.asarray(expected).astype(float))
    print(
        f"{prompt!r}, {resolution} px: differs from diffusers' picture by"
        f" {difference.mean():.4f} levels on average, {difference.max():.0f} at most"
    )


def main() -> None:
    args = parse_arguments()
    shutil.rmtree(args.out, ignore_errors=True)
    torch.manual_seed(0)
    pipeline = load_pipeline(args.checkpoint)
    with torch.no_grad():
        export_all(pipeline, args.out)
        for path in sorted(args.out.rglob("model.onnx")):
            store_weights_as_int8(path)
        copy_settings(pipeline, args.checkpoint, args.out)
        for resolution in (256, 128):
            compare_picture(pipeline, args.out, "a red heart", resolution)


if __name__ == "__main__":
    main()
