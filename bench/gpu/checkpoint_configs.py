"""Configs of FLUX.2-klein's components, as checkpoints have them, and of a tiny one for a CPU."""

import json
import pathlib

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "test" / "fixtures"
DIFFUSERS = "0.42.1"

MODEL_INDEX = {
    "_class_name": "Flux2KleinPipeline",
    "_diffusers_version": DIFFUSERS,
    "is_distilled": True,
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "text_encoder": ["transformers", "Qwen3ForCausalLM"],
    "tokenizer": ["transformers", "Qwen2TokenizerFast"],
    "transformer": ["diffusers", "Flux2Transformer2DModel"],
    "vae": ["diffusers", "AutoencoderKLFlux2"],
}

SCHEDULER = {
    "_class_name": "FlowMatchEulerDiscreteScheduler",
    "_diffusers_version": DIFFUSERS,
    "base_image_seq_len": 256,
    "base_shift": 0.5,
    "invert_sigmas": False,
    "max_image_seq_len": 4096,
    "max_shift": 1.15,
    "num_train_timesteps": 1000,
    "shift": 3.0,
    "shift_terminal": None,
    "stochastic_sampling": False,
    "time_shift_type": "exponential",
    "use_beta_sigmas": False,
    "use_dynamic_shifting": True,
    "use_exponential_sigmas": False,
    "use_karras_sigmas": False,
}


def qwen3(**sizes):
    """Config of a Qwen3 language model."""
    config = {
        "architectures": ["Qwen3ForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "head_dim": 128,
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "max_position_embeddings": 40960,
        "max_window_layers": 36,
        "model_type": "qwen3",
        "num_attention_heads": 32,
        "num_hidden_layers": 36,
        "num_key_value_heads": 8,
        "rms_norm_eps": 1e-06,
        "rope_scaling": None,
        "rope_theta": 1000000,
        "sliding_window": None,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": 151936,
    }
    return config | sizes


def described(model):
    """Configs of transformer and VAE as tests know them."""
    parts = json.loads((FIXTURES / f"flux2-klein-{model}.json").read_text())
    return {
        name: {**parts[name]["config"], "_diffusers_version": DIFFUSERS} for name in ("transformer", "vae")
    }


def klein(parts, text_encoder):
    return {
        "model_index": MODEL_INDEX,
        "scheduler": SCHEDULER,
        "text_encoder": text_encoder,
        **parts,
    }


def tiny_parts():
    parts = described("4b")
    parts["transformer"] |= {
        "num_layers": 2,
        "num_single_layers": 3,
        "num_attention_heads": 2,
        "attention_head_dim": 16,
        "axes_dims_rope": [4, 4, 4, 4],
        "joint_attention_dim": 3 * 64,
        "in_channels": 32,
        "timestep_guidance_channels": 32,
    }
    parts["vae"] |= {
        "block_out_channels": [8, 16, 16, 16],
        "latent_channels": 8,
        "norm_num_groups": 4,
    }
    return parts


SHAPES = {
    "4b": klein(
        described("4b"),
        qwen3(hidden_size=2560, intermediate_size=9728, tie_word_embeddings=True),
    ),
    "9b": klein(
        described("9b"),
        qwen3(hidden_size=4096, intermediate_size=12288, tie_word_embeddings=False),
    ),
    "tiny": klein(
        tiny_parts(),
        qwen3(
            hidden_size=64,
            intermediate_size=160,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=16,
            num_hidden_layers=28,
            max_window_layers=28,
            tie_word_embeddings=True,
        ),
    ),
}
