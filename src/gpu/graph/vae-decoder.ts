import { CheckpointInvalid } from '../../contract/errors.js';
import type { VaeConfig } from '../checkpoint/configs.js';
import type { Weights } from '../checkpoint/weights.js';
import { type ComputeType, type Graph, GraphBuilder, type Value } from './builder.js';
import { add, attention, biasedLinear, multiply, reshape, silu, transpose } from './layers.js';
import { canNormaliseGroups, groupNorm } from './own-operators.js';

/** ONNX has no convolution of bfloat16 before opset 22. */
export type VaeComputeType = Exclude<ComputeType, 'bfloat16'>;

/** diffusers' VAE blocks normalise with this, whatever the config says. */
const GROUP_NORM_EPS = 1e-6;

/**
 * From denoised latents to pixels: the batch-norm statistics are undone, patches unfolded and the decoder of
 * diffusers' `AutoencoderKLFlux2` run; its values −1…1 become 8-bit levels as diffusers' image processor makes them.
 *
 * Input: `latents` float32 [B, h, w, 4 × latent_channels]: packed latents, in rows.
 * Outputs, [B, H, W, 3] each:
 * - `image` float32, −1…1 and somewhat beyond: what tiles are blended in
 * - `pixels` uint8
 * @param options.ownOperators whether it may be made of operators of our own, where there are some for it. Default: false
 * @throws CheckpointInvalid where a weight is missing or does not fit
 */
export function buildVaeDecoder(
  config: VaeConfig,
  weights: Weights,
  compute: VaeComputeType,
  { ownOperators = false } = {},
): Graph {
  const graph = new GraphBuilder('AutoencoderKLFlux2.decoder', weights, compute);
  return new VaeDecoder(config, graph, ownOperators).build();
}

class VaeDecoder {
  readonly #ownOperators: boolean;

  constructor(
    private readonly config: VaeConfig,
    private readonly graph: GraphBuilder,
    ownOperators: boolean,
  ) {
    this.#ownOperators = ownOperators && canNormaliseGroups(graph.compute, config.patch_size);
  }

  build(): Graph {
    const { graph, config } = this;
    const [patchHeight, patchWidth] = config.patch_size;
    const packed = config.latent_channels * patchHeight * patchWidth;
    const latents = graph.input('latents', 'float32', ['batch', 'latent_rows', 'latent_columns', packed]);
    const scaled = this.#narrow(this.#undoBatchNorm(transpose(graph, latents, [0, 3, 1, 2]), packed));
    let x = graph.op('DepthToSpace', [scaled], { attributes: { blocksize: patchHeight, mode: 'CRD' } });
    if (config.use_post_quant_conv) {
      x = this.#conv(x, 'post_quant_conv', config.latent_channels, config.latent_channels, 1);
    }

    const [coarsest, ...finer] = [...config.decoder_channels].reverse();
    if (coarsest === undefined) throw new CheckpointInvalid('vae: expected at least one block');
    let channels = coarsest;
    x = this.#conv(x, 'decoder.conv_in', config.latent_channels, channels, 3);
    x = this.#resnet(x, 'decoder.mid_block.resnets.0', channels, channels);
    if (config.mid_block_add_attention) x = this.#attention(x, 'decoder.mid_block.attentions.0', channels);
    x = this.#resnet(x, 'decoder.mid_block.resnets.1', channels, channels);
    for (const [index, blockChannels] of [coarsest, ...finer].entries()) {
      const block = `decoder.up_blocks.${index}`;
      for (let layer = 0; layer <= config.layers_per_block; layer++) {
        x = this.#resnet(x, `${block}.resnets.${layer}`, channels, blockChannels);
        channels = blockChannels;
      }
      if (index < finer.length) x = this.#upsample(x, `${block}.upsamplers.0.conv`, channels);
    }
    x = this.#groupNormSilu(x, 'decoder.conv_norm_out', channels);
    x = this.#conv(x, 'decoder.conv_out', channels, config.out_channels, 3);
    const image = transpose(graph, this.#widen(x), [0, 2, 3, 1]);
    const shape = ['batch', 'rows', 'columns', config.out_channels];
    graph.output('image', 'float32', shape, image);
    graph.output('pixels', 'uint8', shape, this.#levels(image));
    return graph.finish();
  }

  /** From float32 to the compute type. */
  #narrow(x: Value): Value {
    return this.graph.cast(x, 'float32', this.graph.compute);
  }

  /** From the compute type to float32. */
  #widen(x: Value): Value {
    return this.graph.cast(x, this.graph.compute, 'float32');
  }

  /** x · √(variance + eps) + mean, in float32 */
  #undoBatchNorm(x: Value, channels: number): Value {
    const { graph } = this;
    const seen = { as: [channels, 1, 1], type: 'float32' } as const;
    const variance = graph.weight('bn.running_var', [channels], seen);
    const eps = graph.floats([this.config.batch_norm_eps], [1], 'float32');
    const deviation = graph.op('Sqrt', [add(graph, variance, eps)]);
    const mean = graph.weight('bn.running_mean', [channels], seen);
    return add(graph, multiply(graph, x, deviation), mean);
  }

  #conv(x: Value, name: string, from: number, to: number, kernel: 1 | 3): Value {
    const pad = (kernel - 1) / 2;
    const weight = this.graph.weight(`${name}.weight`, [to, from, kernel, kernel]);
    return this.graph.op('Conv', [x, weight, this.graph.weight(`${name}.bias`, [to])], {
      attributes: { kernel_shape: [kernel, kernel], pads: [pad, pad, pad, pad] },
    });
  }

  #resnet(x: Value, name: string, from: number, to: number): Value {
    const { graph } = this;
    let h = this.#conv(this.#groupNormSilu(x, `${name}.norm1`, from), `${name}.conv1`, from, to, 3);
    h = this.#conv(this.#groupNormSilu(h, `${name}.norm2`, to), `${name}.conv2`, to, to, 3);
    return add(graph, from === to ? x : this.#conv(x, `${name}.conv_shortcut`, from, to, 1), h);
  }

  /** One head over all pixels. */
  #attention(x: Value, name: string, channels: number): Value {
    const { graph } = this;
    const shape = graph.op('Shape', [x]);
    const normed = this.#groupNorm(x, `${name}.group_norm`, channels);
    const tokens = transpose(graph, reshape(graph, normed, [0, channels, -1]), [0, 2, 1]);
    const project = (part: string, from: Value) =>
      biasedLinear(graph, from, `${name}.${part}`, channels, channels);
    const attended = attention(
      graph,
      { query: project('to_q', tokens), key: project('to_k', tokens), value: project('to_v', tokens) },
      1,
    );
    const out = transpose(graph, project('to_out.0', attended), [0, 2, 1]);
    return add(graph, x, graph.op('Reshape', [out, shape]));
  }

  #upsample(x: Value, name: string, channels: number): Value {
    const { graph } = this;
    const scales = graph.floats([1, 1, 2, 2], [4], 'float32');
    const doubled = graph.op('Resize', [x, undefined, scales], {
      attributes: { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
    });
    return this.#conv(doubled, name, channels, channels, 3);
  }

  #groupNormSilu(x: Value, name: string, channels: number): Value {
    return this.#ownOperators
      ? this.#ownGroupNorm(x, name, channels, { silu: true })
      : silu(this.graph, this.#groupNorm(x, name, channels));
  }

  #ownGroupNorm(x: Value, name: string, channels: number, { silu }: { readonly silu: boolean }): Value {
    const { graph } = this;
    const weights = {
      scale: graph.weight(`${name}.weight`, [channels]),
      bias: graph.weight(`${name}.bias`, [channels]),
    };
    const groups = this.config.norm_num_groups;
    return groupNorm(graph, x, weights, { groups, epsilon: GROUP_NORM_EPS, silu });
  }

  /**
   * ONNX Runtime's CPU kernels have no group normalisation: groups become the channels of an instance normalisation.
   * In float32: sums over that many pixels want it.
   */
  #groupNorm(x: Value, name: string, channels: number): Value {
    if (this.#ownOperators) return this.#ownGroupNorm(x, name, channels, { silu: false });
    const { graph } = this;
    const groups = this.config.norm_num_groups;
    const grouped = this.#widen(reshape(graph, x, [0, groups, -1]));
    const all = (value: number) => graph.floats(new Array(groups).fill(value), [groups], 'float32');
    const normed = graph.op('InstanceNormalization', [grouped, all(1), all(0)], {
      attributes: { epsilon: { float: GROUP_NORM_EPS } },
    });
    const back = this.#narrow(graph.op('Reshape', [normed, graph.op('Shape', [x])]));
    const seen = { as: [channels, 1, 1] };
    return add(
      graph,
      multiply(graph, back, graph.weight(`${name}.weight`, [channels], seen)),
      graph.weight(`${name}.bias`, [channels], seen),
    );
  }

  /** −1…1 → 0…255, halves to even. */
  #levels(x: Value): Value {
    const { graph } = this;
    const number = (value: number, dims: readonly number[]) => graph.floats([value], dims, 'float32');
    const half = number(0.5, [1]);
    const unit = graph.op('Clip', [add(graph, multiply(graph, x, half), half), number(0, []), number(1, [])]);
    const rounded = graph.op('Round', [multiply(graph, unit, number(255, [1]))]);
    return graph.cast(rounded, 'float32', 'uint8');
  }
}
