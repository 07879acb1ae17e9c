import { z } from 'zod';

/*
 * The configuration files of a diffusers checkpoint, as far as they decide what is computed. Fields that only
 * matter for training are not read; a value that would change the arithmetic and is not supported is refused.
 * Defaults are those of the diffusers classes, since diffusers leaves some defaults out.
 */

const positive = z.int().positive();
const component = <const L extends string, const C extends string>(library: L, className: C) =>
  z.tuple([z.literal(library), z.literal(className)]);

/** `model_index.json` */
export const ModelIndex = z.object({
  _class_name: z.literal('Flux2KleinPipeline'),
  /** Without it the model wants classifier-free guidance, which is not supported. */
  is_distilled: z.literal(true),
  scheduler: component('diffusers', 'FlowMatchEulerDiscreteScheduler'),
  transformer: component('diffusers', 'Flux2Transformer2DModel'),
  vae: component('diffusers', 'AutoencoderKLFlux2'),
  text_encoder: z.tuple([z.literal('transformers'), z.enum(['BertModel', 'Qwen3ForCausalLM'])]),
  tokenizer: z.tuple([z.literal('transformers'), z.string()]),
});
export type ModelIndex = z.output<typeof ModelIndex>;

/** `transformer/config.json` */
export const TransformerConfig = z
  .object({
    _class_name: z.literal('Flux2Transformer2DModel'),
    patch_size: z.literal(1).default(1),
    in_channels: positive.multipleOf(4).default(128),
    out_channels: positive.nullish(),
    num_layers: z.int().nonnegative().default(8),
    num_single_layers: z.int().nonnegative().default(48),
    attention_head_dim: positive.multipleOf(2).default(128),
    num_attention_heads: positive.default(48),
    joint_attention_dim: positive.default(15360),
    timestep_guidance_channels: positive.multipleOf(2).default(256),
    mlp_ratio: z.number().positive().default(3),
    axes_dims_rope: z.array(positive.multipleOf(2)).length(4).default([32, 32, 32, 32]),
    rope_theta: z.number().positive().default(2000),
    eps: z.number().positive().default(1e-6),
    guidance_embeds: z.literal(false),
  })
  .refine(
    (config) => config.axes_dims_rope.reduce((sum, dim) => sum + dim, 0) === config.attention_head_dim,
    {
      path: ['axes_dims_rope'],
      message: 'expected the axes to add up to attention_head_dim',
    },
  )
  .refine((config) => (config.out_channels ?? config.in_channels) === config.in_channels, {
    path: ['out_channels'],
    message: 'expected as many as in_channels',
  });
export type TransformerConfig = z.output<typeof TransformerConfig>;

/** `vae/config.json`; only the decoder's side is read. */
export const VaeConfig = z
  .object({
    _class_name: z.literal('AutoencoderKLFlux2'),
    act_fn: z.literal('silu').default('silu'),
    out_channels: z.literal(3).default(3),
    latent_channels: positive.default(32),
    block_out_channels: z.array(positive).min(1).default([128, 256, 512, 512]),
    decoder_block_out_channels: z.array(positive).min(1).nullish(),
    up_block_types: z.array(z.literal('UpDecoderBlock2D')).min(1),
    layers_per_block: positive.default(2),
    norm_num_groups: positive.default(32),
    mid_block_add_attention: z.boolean().default(true),
    use_post_quant_conv: z.boolean().default(true),
    batch_norm_eps: z.number().nonnegative().default(1e-4),
    patch_size: z.tuple([z.literal(2), z.literal(2)]).default([2, 2]),
  })
  .transform(({ decoder_block_out_channels, ...config }) => ({
    ...config,
    /** Output channels of the decoder's blocks, finest first. */
    decoder_channels: decoder_block_out_channels ?? config.block_out_channels,
  }))
  .refine((config) => config.up_block_types.length === config.decoder_channels.length, {
    path: ['up_block_types'],
    message: 'expected one block for every entry of block_out_channels',
  })
  .refine((config) => config.decoder_channels.every((channels) => channels % config.norm_num_groups === 0), {
    path: ['norm_num_groups'],
    message: 'expected a divisor of every entry of block_out_channels',
  });
export type VaeConfig = z.output<typeof VaeConfig>;

/** `text_encoder/config.json` of a BERT. */
export const BertConfig = z
  .object({
    model_type: z.literal('bert'),
    hidden_act: z.literal('gelu').default('gelu'),
    position_embedding_type: z.literal('absolute').default('absolute'),
    is_decoder: z.literal(false).default(false),
    hidden_size: positive,
    intermediate_size: positive,
    num_attention_heads: positive,
    num_hidden_layers: positive,
    max_position_embeddings: positive,
    type_vocab_size: positive,
    vocab_size: positive,
    layer_norm_eps: z.number().positive().default(1e-12),
  })
  .refine((config) => config.hidden_size % config.num_attention_heads === 0, {
    path: ['num_attention_heads'],
    message: 'expected a divisor of hidden_size',
  });
export type BertConfig = z.output<typeof BertConfig>;

/** Plain rotary positions; stretched ones turn by other angles. transformers once called the field `type`. */
const PlainRope = { rope_type: z.literal('default').nullish(), type: z.literal('default').nullish() };

/** `text_encoder/config.json` of a Qwen3, as transformers 4 writes it (`rope_theta`) and 5 (`rope_parameters`). */
export const Qwen3Config = z
  .object({
    model_type: z.literal('qwen3'),
    hidden_act: z.literal('silu').default('silu'),
    attention_bias: z.literal(false).default(false),
    use_sliding_window: z.literal(false).default(false),
    layer_types: z.array(z.literal('full_attention')).nullish(),
    hidden_size: positive,
    intermediate_size: positive,
    num_hidden_layers: positive,
    num_attention_heads: positive,
    num_key_value_heads: positive,
    head_dim: positive.multipleOf(2).default(128),
    max_position_embeddings: positive,
    vocab_size: positive,
    rms_norm_eps: z.number().positive().default(1e-6),
    rope_theta: z.number().positive().nullish(),
    rope_scaling: z.object(PlainRope).nullish(),
    rope_parameters: z.object({ ...PlainRope, rope_theta: z.number().positive().nullish() }).nullish(),
  })
  .refine((config) => config.num_attention_heads % config.num_key_value_heads === 0, {
    path: ['num_key_value_heads'],
    message: 'expected a divisor of num_attention_heads',
  })
  .transform(({ rope_theta, rope_parameters, ...config }) => ({
    ...config,
    rope_theta: rope_parameters?.rope_theta ?? rope_theta ?? 10_000,
  }));
export type Qwen3Config = z.output<typeof Qwen3Config>;

/** `text_encoder/config.json`; its `model_type` says what it is of. */
export const TextEncoderConfig = z.discriminatedUnion('model_type', [BertConfig, Qwen3Config]);
export type TextEncoderConfig = z.output<typeof TextEncoderConfig>;

/** The class that a text encoder's `model_type` is loaded as. */
export const TEXT_ENCODER_CLASS = { bert: 'BertModel', qwen3: 'Qwen3ForCausalLM' } as const;

/** `scheduler/scheduler_config.json` */
export const SchedulerConfig = z.object({
  _class_name: z.literal('FlowMatchEulerDiscreteScheduler'),
  num_train_timesteps: positive.default(1000),
  shift: z.number().positive().default(1),
  use_dynamic_shifting: z.boolean().default(false),
  time_shift_type: z.enum(['exponential', 'linear']).default('exponential'),
  shift_terminal: z.null().default(null),
  invert_sigmas: z.literal(false).default(false),
  stochastic_sampling: z.literal(false).default(false),
  use_beta_sigmas: z.literal(false).nullish(),
  use_exponential_sigmas: z.literal(false).nullish(),
  use_karras_sigmas: z.literal(false).nullish(),
});
export type SchedulerConfig = z.output<typeof SchedulerConfig>;

/**
 * `generation.json`: our own, optional. How the pipeline is called for this model, where that differs from the
 * defaults of diffusers' `Flux2KleinPipeline`, which stand here. Sizes are in pixels.
 */
export const GenerationConfig = z.strictObject({
  max_sequence_length: positive.default(512),
  /** Which hidden states become the prompt's embedding; 0 is the embedding layer's. */
  text_encoder_out_layers: z.array(z.int().nonnegative()).min(1).default([9, 18, 27]),
  num_inference_steps: positive.default(4),
  height: positive.default(1024),
  width: positive.default(1024),
  min_side: positive.default(256),
  max_side: positive.default(2048),
  /**
   * A cheap look at latents: packed channels → the patch's 2×2 preview pixels (rows: pixel by pixel, red, green,
   * blue; 0 to 255). Without it a model has no previews.
   */
  preview: z
    .strictObject({ weights: z.array(z.array(z.number())).length(12), bias: z.array(z.number()).length(12) })
    .optional(),
});
export type GenerationConfig = z.output<typeof GenerationConfig>;
