"""The networks, in the classes of FLUX.2-klein at toy size, and the conversions around them."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel
from torch import Tensor, nn

from text import EMBEDDING_WIDTH, MAX_TOKENS

LATENT_CHANNELS = 12
PACKED_CHANNELS = 4 * LATENT_CHANNELS
"""Channels of one latent token: a 2×2 patch of the VAE's latents."""

PIXELS_PER_TOKEN = 16
"""VAE ×8, patches of 2: a 256 px image is 16×16 tokens."""

HEADS, HEAD_SIZE = 6, 64
DOUBLE_BLOCKS, SINGLE_BLOCKS = 2, 7


def make_vae() -> AutoencoderKLFlux2:
    """Autoencoder, ×8, 5.1 M parameters (decoder 3.2 M); without attention, so of any size."""
    channels = (32, 64, 128, 160)
    return AutoencoderKLFlux2(
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        block_out_channels=channels,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=16,
        sample_size=256,
        use_quant_conv=False,
        use_post_quant_conv=False,
        mid_block_add_attention=False,
    )


def make_transformer() -> Flux2Transformer2DModel:
    """Denoiser, 24.3 M parameters, with DiT's initialisation: modulation and output start at 0."""
    model = Flux2Transformer2DModel(
        patch_size=1,
        in_channels=PACKED_CHANNELS,
        num_layers=DOUBLE_BLOCKS,
        num_single_layers=SINGLE_BLOCKS,
        attention_head_dim=HEAD_SIZE,
        num_attention_heads=HEADS,
        joint_attention_dim=EMBEDDING_WIDTH,
        timestep_guidance_channels=256,
        mlp_ratio=3.0,
        axes_dims_rope=(HEAD_SIZE // 4,) * 4,
        rope_theta=2000,
        guidance_embeds=False,
    )
    for name, parameter in model.named_parameters():
        if parameter.ndim != 2:
            continue
        final_projection = "proj_out" in name and "blocks" not in name
        if "modulation" in name or "norm_out.linear" in name or final_projection:
            nn.init.zeros_(parameter)
        else:
            nn.init.xavier_uniform_(parameter)
    return model


def keep_group_norm_in_bf16() -> None:
    """
    Autocast would lift GroupNorm's activations to float32, the VAE's largest memory traffic. The
    kernel keeps its statistics in float32 either way.
    """

    def forward(self: nn.GroupNorm, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
            return F.group_norm(x, self.num_groups, weight, bias, self.eps)

    nn.GroupNorm.forward = forward


def patchify(latents: Tensor) -> Tensor:
    """[B, C, H, W] → [B, 4C, H/2, W/2]"""
    batch, channels, height, width = latents.shape
    patches = latents.view(batch, channels, height // 2, 2, width // 2, 2)
    return patches.permute(0, 1, 3, 5, 2, 4).reshape(batch, 4 * channels, height // 2, width // 2)


def unpatchify(patches: Tensor) -> Tensor:
    """[B, 4C, h, w] → [B, C, 2h, 2w]"""
    batch, channels, height, width = patches.shape
    latents = patches.reshape(batch, channels // 4, 2, 2, height, width)
    return latents.permute(0, 1, 4, 2, 5, 3).reshape(batch, channels // 4, height * 2, width * 2)


def pack_tokens(patches: Tensor) -> Tensor:
    """[B, C, h, w] → [B, h·w, C]"""
    return patches.flatten(2).transpose(1, 2)


def unpack_tokens(tokens: Tensor, height: int, width: int) -> Tensor:
    """[B, h·w, C] → [B, C, h, w]"""
    return tokens.transpose(1, 2).reshape(tokens.shape[0], -1, height, width)


def latent_statistics(vae: AutoencoderKLFlux2) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation [1, 48, 1, 1] that FLUX.2 keeps in a batch-norm's buffers."""
    mean = vae.bn.running_mean.view(1, -1, 1, 1)
    variance = vae.bn.running_var.view(1, -1, 1, 1)
    return mean, torch.sqrt(variance + vae.config.batch_norm_eps)


def position_ids(height: int, width: int, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """Rotary positions [h·w, 4] = (0, row, column, 0) and [32, 4] = (0, 0, 0, place in text)."""
    zero = torch.arange(1)
    image = torch.cartesian_prod(zero, torch.arange(height), torch.arange(width), zero)
    text = torch.cartesian_prod(zero, zero, zero, torch.arange(MAX_TOKENS))
    return image.to(device), text.to(device)


@torch.no_grad()
def decode_tokens(vae: AutoencoderKLFlux2, tokens: Tensor, height: int, width: int) -> Tensor:
    """Tokens [B, h·w, 48] → pictures [B, 3, 16h, 16w] in -1..1."""
    mean, deviation = latent_statistics(vae)
    patches = unpack_tokens(tokens, height, width).float() * deviation + mean
    return vae.decode(unpatchify(patches)).sample.float().clamp(-1, 1)


def noise_levels(steps: int, shift: float) -> list[float]:
    """
    The steps + 1 sigmas from 1 to 0, as FlowMatchEulerDiscreteScheduler(shift=shift,
    use_dynamic_shifting=False) makes them from linspace(1, 1/steps, steps).
    """
    sigmas = np.linspace(1.0, 1.0 / steps, steps)
    sigmas = shift * sigmas / (1 + (shift - 1) * sigmas)
    return [float(sigma) for sigma in sigmas] + [0.0]


def sampling_shift(resolution: int) -> float:
    """Shift for the teacher's own samples: a smaller image needs less time at high noise."""
    return 3.0 if resolution == 256 else 1.5


@torch.no_grad()
def sample(
    transformer: Callable,
    embeddings: Tensor,
    resolution: int,
    sigmas: list[float],
    unconditional: Tensor | None = None,
    guidance: float = 1.0,
    seed: int = 0,
) -> Tensor:
    """
    Euler steps along `sigmas` from noise to latent tokens [B, h·w, 48].

    @param unconditional embeddings of the empty prompt, needed when `guidance` is above 1
    """
    device, batch = embeddings.device, embeddings.shape[0]
    side = resolution // PIXELS_PER_TOKEN
    generator = torch.Generator("cpu").manual_seed(seed)
    tokens = torch.randn(batch, side * side, PACKED_CHANNELS, generator=generator).to(device)
    image_ids, text_ids = position_ids(side, side, device)

    def velocity(tokens: Tensor, condition: Tensor, sigma: float) -> Tensor:
        return transformer(
            hidden_states=tokens,
            encoder_hidden_states=condition,
            timestep=torch.full((batch,), sigma, device=device),
            img_ids=image_ids,
            txt_ids=text_ids,
            return_dict=False,
        )[0].float()

    for sigma, following in pairwise(sigmas):
        direction = velocity(tokens, embeddings, sigma)
        if guidance > 1:
            free = velocity(tokens, unconditional, sigma)
            direction = free + guidance * (direction - free)
        tokens = tokens + (following - sigma) * direction
    return tokens
