"""What PyTorch makes of a checkpoint, and how fast: diffusers' own pipeline over the same files.

    python3 torch_reference.py /dev/shm/klein-9b /dev/shm/reference --stages cold,numbers,eager

Stages, in the order in which they run, with rough times for the 9B shape on an H100:

    cold            the first picture of a fresh process: imports, from_pretrained, .to(device), one
                    picture of the first size (25-60 s). It loads, and times that, in any case.
    numbers         one run a size in bf16: inputs, velocities, latents, pixels as .bin files (5 s)
    float32         the same inputs in float32, TF32 off (30 s; needs 60 GB of VRAM)
    eager           medians, batches of --batches (first size up to 4, others all) (60 s)
    compile-blocks  torch.compile of each kind of block, batch 1 (20-40 s a size)
    compile         torch.compile of the whole transformer, batch 1 (60-120 s a size)
    autotune        the same with mode max-autotune (several minutes)

OUT/reference.json is written again after every stage and every timing, so a run that is stopped
leaves what it had, and another one goes on with other stages. Tensors are raw little-endian
float32 (pixels: uint8), their shapes are in the JSON.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import time

STAGES = ["cold", "numbers", "float32", "eager", "compile-blocks", "compile", "autotune"]
PROMPTS = [
    "a lighthouse on a cliff at dusk, oil on canvas",
    "two red apples and a glass of water on a wooden table",
]
SEED = 7
STEPS = 4


def numbers(text):
    return [int(number) for number in text.split(",")]


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--sizes", type=numbers, default=[1024, 512])
    parser.add_argument("--batches", type=numbers, default=[1, 2, 4, 8, 10])
    parser.add_argument("--stages", default=",".join(STAGES[:5]))
    parser.add_argument("--runs", type=int, default=7, help="timed runs of each kind")
    parser.add_argument("--device", default="cuda")
    arguments = parser.parse_args()
    unknown = set(arguments.stages.split(",")) - set(STAGES)
    if unknown:
        parser.error(f"--stages: expected some of {', '.join(STAGES)}, got {', '.join(sorted(unknown))}")
    return arguments


if __name__ == "__main__":
    # Before the imports, which take seconds: a wrong option should not.
    ARGUMENTS = parse()

import torch  # noqa: E402
from diffusers import Flux2KleinPipeline  # noqa: E402
from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu  # noqa: E402


def seconds_since_start():
    """How long this process has existed, interpreter start included."""
    ticks = int(pathlib.Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
    uptime = float(pathlib.Path("/proc/uptime").read_text().split()[0])
    return uptime - ticks / os.sysconf("SC_CLK_TCK")


class Record:
    """The JSON and the .bin files beside it."""

    def __init__(self, folder):
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.values = {"tensors": {}}
        # Goes on with what an earlier run has left.
        if (folder / "reference.json").exists():
            self.values = json.loads((folder / "reference.json").read_text())

    def set(self, stage, value):
        self.values[stage] = value
        self.save()

    def add(self, stage, value):
        self.values.setdefault(stage, []).append(value)
        self.save()

    def tensor(self, name, tensor):
        values = tensor.detach().cpu()
        values = values if values.dtype == torch.uint8 else values.float()
        file = self.folder / f"{name}.bin"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(values.contiguous().numpy().tobytes())
        self.values["tensors"][name] = list(values.shape)

    def save(self):
        partial = self.folder / "reference.json.partial"
        partial.write_text(json.dumps(self.values, indent=1))
        partial.replace(self.folder / "reference.json")


class Reference:
    def __init__(self, arguments):
        self.record = Record(arguments.out)
        self.sizes = arguments.sizes
        self.batches = arguments.batches
        self.device = torch.device(arguments.device)
        self.runs = arguments.runs

        split = {"interpreter_and_imports": seconds_since_start()}
        began = time.perf_counter()
        pipeline = Flux2KleinPipeline.from_pretrained(arguments.checkpoint, dtype=torch.bfloat16)
        pipeline.set_progress_bar_config(disable=True)
        split["from_pretrained"] = time.perf_counter() - began
        began = time.perf_counter()
        self.pipeline = pipeline.to(self.device)
        self.synchronize()
        split["to_device"] = time.perf_counter() - began
        self.split = split
        self.record.set("machine", describe_machine(self.device))
        self.record.set("load", split)

    def synchronize(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def draw(self, size, batch):
        """One whole batch: text, steps, decoding, 8-bit pixels on the host."""
        pictures = self.pipeline(
            prompt=[PROMPTS[place % len(PROMPTS)] for place in range(batch)],
            height=size,
            width=size,
            num_inference_steps=STEPS,
            guidance_scale=1.0,
            generator=[torch.Generator(self.device).manual_seed(SEED + place) for place in range(batch)],
            output_type="pt",
        ).images
        return pictures.mul(255).round_().clamp_(0, 255).to(torch.uint8).cpu()

    def cold(self):
        began = time.perf_counter()
        self.draw(self.sizes[0], 1)
        first = time.perf_counter() - began
        total = seconds_since_start()
        self.record.set("cold", {**self.split, "first_picture": first, "total": total, "size": self.sizes[0]})

    def numbers(self):
        for size in self.sizes:
            self.numbers_of(size)
        self.record.save()

    @torch.no_grad()
    def numbers_of(self, size):
        """Velocities along the bf16 pipeline's own way, so that each step's inputs are known."""
        pipeline, prompts = self.pipeline, self.prompts_of(size)
        embeds, text_ids = pipeline.encode_prompt(prompts, device=self.device)
        latents, image_ids = self.initial_latents(size, len(prompts), embeds.dtype)
        self.record.tensor(f"{size}/prompt_embeds", embeds)
        self.record.tensor(f"{size}/latents_0", latents)
        timesteps = self.timesteps(latents.shape[1])
        used = []
        for step, timestep in enumerate(timesteps):
            # As the pipeline rounds it, and then the model.
            given = timestep.expand(len(prompts)).to(latents.dtype) / 1000
            used.append(float((given * 1000)[0]) / 1000)
            velocity = pipeline.transformer(
                hidden_states=latents,
                timestep=given,
                encoder_hidden_states=embeds,
                txt_ids=text_ids,
                img_ids=image_ids,
                return_dict=False,
            )[0]
            latents = pipeline.scheduler.step(velocity, timestep, latents, return_dict=False)[0]
            self.record.tensor(f"{size}/velocity_bf16_{step + 1}", velocity)
            self.record.tensor(f"{size}/latents_{step + 1}", latents)
        self.record.tensor(f"{size}/pixels_bf16", self.decode(latents, image_ids))
        self.record.add("numbers", {"size": size, "prompts": prompts, "steps": STEPS, "timesteps": used})

    @torch.no_grad()
    def float32(self):
        """The steps of `numbers` from the same inputs, and a whole pipeline from the same noise."""
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        pipeline = self.pipeline
        embeds = {}
        pipeline.text_encoder.to(torch.float32)
        for size in self.sizes:
            embeds[size], _ = pipeline.encode_prompt(self.prompts_of(size), device=self.device)
            self.record.tensor(f"{size}/prompt_embeds_f32", embeds[size])
        pipeline.text_encoder.to(torch.bfloat16)
        pipeline.transformer.to(torch.float32)
        for entry in self.record.values["numbers"]:
            self.float32_of(entry["size"], entry["timesteps"], embeds[entry["size"]])
        pipeline.transformer.to(torch.bfloat16)
        pipeline.vae.to(torch.float32)
        for size in self.sizes:
            latents = self.stored(f"{size}/latents_f32_{STEPS}")
            _, image_ids = self.initial_latents(size, len(latents), torch.float32)
            self.record.tensor(f"{size}/pixels_f32", self.decode(latents, image_ids))
        pipeline.vae.to(torch.bfloat16)
        self.record.set("float32", {"sizes": self.sizes})

    def float32_of(self, size, bf16_timesteps, own_embeds):
        pipeline = self.pipeline
        embeds = self.stored(f"{size}/prompt_embeds")
        _, image_ids = self.initial_latents(size, len(embeds), torch.float32)
        text_ids = pipeline._prepare_text_ids(embeds).to(self.device)

        def velocity(latents, timestep, text):
            return pipeline.transformer(
                hidden_states=latents,
                timestep=torch.full([len(latents)], timestep, device=self.device),
                encoder_hidden_states=text,
                txt_ids=text_ids,
                img_ids=image_ids,
                return_dict=False,
            )[0]

        for step, timestep in enumerate(bf16_timesteps):
            latents = self.stored(f"{size}/latents_{step}")
            self.record.tensor(f"{size}/velocity_f32_{step + 1}", velocity(latents, timestep, embeds))
        latents = self.stored(f"{size}/latents_0")
        for step, timestep in enumerate(self.timesteps(latents.shape[1])):
            change = velocity(latents, float(timestep) / 1000, own_embeds)
            latents = pipeline.scheduler.step(change, timestep, latents, return_dict=False)[0]
            self.record.tensor(f"{size}/latents_f32_{step + 1}", latents)
        self.record.save()

    def eager(self):
        for size in self.sizes:
            most = 4 if size == max(self.sizes) and len(self.sizes) > 1 else max(self.batches)
            for batch in [batch for batch in self.batches if batch <= most]:
                self.time("eager", size, batch)

    def compile_blocks(self):
        self.pipeline.transformer.compile_repeated_blocks(dynamic=False)
        for size in self.sizes:
            self.time("compile-blocks", size, 1)
        for module in self.pipeline.transformer.modules():
            module._compiled_call_impl = None

    def compile(self, stage="compile", **options):
        self.pipeline.transformer.compile(dynamic=False, **options)
        for size in self.sizes:
            self.time(stage, size, 1)
        self.pipeline.transformer._compiled_call_impl = None

    def autotune(self):
        self.compile("autotune", mode="max-autotune")

    @torch.no_grad()
    def time(self, stage, size, batch):
        """Medians of one transformer step and of the whole pipeline, with the memory they took."""
        transformer = self.pipeline.transformer
        latents, image_ids = self.initial_latents(size, batch, torch.bfloat16)
        width = transformer.config.joint_attention_dim
        embeds = torch.randn([batch, 512, width], device=self.device, dtype=torch.bfloat16)
        text_ids = self.pipeline._prepare_text_ids(embeds).to(self.device)
        timestep = torch.full([batch], 0.75, device=self.device, dtype=torch.bfloat16)

        def step():
            transformer(
                hidden_states=latents,
                timestep=timestep,
                encoder_hidden_states=embeds,
                txt_ids=text_ids,
                img_ids=image_ids,
                return_dict=False,
            )

        for what, work in (("step", step), ("pipeline", lambda: self.draw(size, batch))):
            began = time.perf_counter()
            peaks = self.reset_peaks()
            work()
            self.synchronize()
            warm_up = time.perf_counter() - began
            work()
            samples = self.samples(work)
            entry = {
                "what": what,
                "size": size,
                "batch": batch,
                "median_ms": statistics.median(samples),
                "min_ms": min(samples),
                "max_ms": max(samples),
                "runs": len(samples),
                "first_s": warm_up,
                **peaks(),
            }
            self.record.add(stage, entry)
            median = f"{entry['median_ms']:.1f} ms (first {warm_up:.1f} s)"
            print(f"{stage} {what} {size} x{batch}: {median}", flush=True)

    def samples(self, work):
        """As many as asked for; of what takes long at least three, and no more after five seconds."""
        samples = []
        while len(samples) < self.runs and (len(samples) < 3 or sum(samples) < 5000):
            samples.append(self.milliseconds(work))
        return samples

    def milliseconds(self, work):
        if self.device.type != "cuda":
            began = time.perf_counter()
            work()
            return (time.perf_counter() - began) * 1000
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        work()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end)

    def reset_peaks(self):
        if self.device.type != "cuda":
            return dict
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return lambda: {
            "peak_allocated_bytes": torch.cuda.max_memory_allocated(),
            "peak_reserved_bytes": torch.cuda.max_memory_reserved(),
        }

    def prompts_of(self, size):
        return PROMPTS[:1] if size == self.sizes[0] else PROMPTS

    def initial_latents(self, size, batch, dtype):
        """Packed noise [B, tokens, channels] that bf16 holds exactly, and the tokens' positions."""
        channels = self.pipeline.transformer.config.in_channels
        side = size // (self.pipeline.vae_scale_factor * 2)
        noise = torch.randn(
            [batch, channels, side, side], generator=torch.Generator().manual_seed(SEED + size)
        )
        noise = noise.to(self.device, torch.bfloat16).to(dtype)
        ids = self.pipeline._prepare_latent_ids(noise).to(self.device)
        return self.pipeline._pack_latents(noise), ids

    def timesteps(self, tokens):
        """The scheduler's, made ready for a new picture."""
        sigmas = [1 - step * (1 - 1 / STEPS) / max(1, STEPS - 1) for step in range(STEPS)]
        scheduler = self.pipeline.scheduler
        scheduler.set_timesteps(sigmas=sigmas, mu=compute_empirical_mu(tokens, STEPS), device=self.device)
        scheduler.set_begin_index(0)
        return scheduler.timesteps

    def decode(self, latents, image_ids):
        """Pixels [B, H, W, 3] of packed latents, as the end of the pipeline makes them."""
        vae = self.pipeline.vae
        spread = self.pipeline._unpack_latents_with_ids(latents, image_ids)
        mean = vae.bn.running_mean.view(1, -1, 1, 1).to(spread.dtype)
        deviation = torch.sqrt(vae.bn.running_var.view(1, -1, 1, 1) + vae.config.batch_norm_eps).to(
            spread.dtype
        )
        pictures = vae.decode(
            self.pipeline._unpatchify_latents(spread * deviation + mean), return_dict=False
        )[0]
        return (
            pictures.float()
            .mul(0.5)
            .add(0.5)
            .clamp(0, 1)
            .mul(255)
            .round()
            .to(torch.uint8)
            .permute(0, 2, 3, 1)
        )

    def stored(self, name):
        shape = self.record.values["tensors"][name]
        data = bytearray((self.record.folder / f"{name}.bin").read_bytes())
        return torch.frombuffer(data, dtype=torch.float32).reshape(shape).to(self.device)


def describe_machine(device):
    import diffusers
    import transformers

    about = {
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "transformers": transformers.__version__,
    }
    if device.type == "cuda":
        about |= {
            "card": torch.cuda.get_device_name(),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    return about


if __name__ == "__main__":
    reference = Reference(ARGUMENTS)
    for stage in STAGES:
        if stage in ARGUMENTS.stages.split(","):
            began = time.perf_counter()
            reference.record.values.pop(stage, None)
            getattr(reference, stage.replace("-", "_"))()
            print(f"{stage}: {time.perf_counter() - began:.1f} s", flush=True)
