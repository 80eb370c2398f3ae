"""The training loop: open_clip's model and loss, AdamW, warm-up and cosine, a fixed number of samples seen.

Runs under torchrun on any number of processes (nccl on CUDA, gloo on CPU) or alone. Killed, it goes on from its last
checkpoint and, on a CPU with the same number of threads and processes, ends in the same bytes.
"""

import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from curate import lorentz, models
from curate.recipe import Train
from curate.store import Dataset
from curate.training import captioning, checkpoints
from curate.training.balancing import Redrawn
from curate.training.job import PARENT, Job, Place, check, held_in_memory, is_alive, processes, steps_of
from curate.training.loading import Batches, Pictures, loader
from curate.training.objectives import objective
from curate.training.sets import Set
from curate.training.shards import InMemory, Streaming, TrainingError, Whole
from curate.weights import merges_of, register

LOG_LINES = 200
"""A log has about this many lines, however long the training."""


def train(job: Job) -> None:
    """Trains, and leaves in the run's folder what `checkpoints.finish` writes. Raises TrainingError, ModelError."""
    with processes(job.settings) as place:
        shards = check(job, place.world)
        # 0 means every core, shared by the processes of this machine.
        cores = (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        torch.set_num_threads(job.settings.threads or max(1, cores))
        target = Dataset(job.workdir, job.target)
        training = Training(job, place, shards)
        state = checkpoints.last(target)
        if state is not None:
            training.resume(state)
        training.run(target)
        if place.first:
            checkpoints.finish(target, training.model, job.settings.model, training.log, training.facts())
        if place.world > 1:
            dist.barrier()


class Training:
    """Model, optimizer and the place in the data; what a checkpoint holds."""

    def __init__(self, job: Job, place: Place, shards: Set):
        import open_clip

        self.job, self.place, self.step, self.shards = job, place, 0, shards
        self.log: list[dict[str, Any]] = []
        self.bad = 0
        settings = job.settings
        torch.manual_seed(job.seed)
        name = register(settings.model)
        model = models.quietly(open_clip.create_model, name, pretrained_text=False).to(place.device)
        if job.objective == "hyperbolic":
            lorentz.add_parameters(model, open_clip.get_model_config(name)["embed_dim"])
            model.to(place.device)
        if captioning.is_captioner(model):
            captioning.begin(model)
        if job.begin_with:
            checkpoints.begin_with(model, Dataset(job.workdir, job.begin_with))
        # A third faster for convolutions on a CPU, and what tensor cores want on a GPU.
        self.model = model.to(memory_format=torch.channels_last).train()
        self.tokenizer = models.tokenizer(name, merges_of(settings.model))
        decay = [p for n, p in self.model.named_parameters() if decays(n, p)]
        rest = [p for n, p in self.model.named_parameters() if not decays(n, p)]
        self.optimizer = torch.optim.AdamW(
            [{"params": rest, "weight_decay": 0.0}, {"params": decay, "weight_decay": settings.weight_decay}],
            lr=settings.learning_rate, betas=(0.9, settings.beta2), eps=1e-6,
        )  # fmt: skip
        self.scaler = torch.amp.GradScaler("cuda", enabled=settings.precision == "amp")
        self.objective: Any = objective(job.objective, self.model, place.rank, place.world)
        epochs = Redrawn(Dataset(job.workdir, job.shards), job.seed) if job.online_balance else Whole()
        self.source: InMemory | Streaming
        if held_in_memory(shards, settings):
            samples = [sample for name in shards.sizes for sample in shards.read(name)]
            self.source = InMemory(samples, settings.batch_size, job.seed, place.rank, place.world, epochs)
            self.lanes = 0
        else:
            share = settings.batch_size // place.world
            self.source = Streaming(
                shards.read, shards.sizes, share, job.seed, settings.shuffle_window, place.rank, place.world, epochs
            )
            self.lanes = place.world * max(1, settings.workers)

    def run(self, target: Dataset) -> None:
        """Trains to the end, saving on the way."""
        settings, steps = self.job.settings, steps_of(self.job.settings)
        engine, started, first = self._distributed(), time.monotonic(), self.step
        every = max(1, steps // LOG_LINES)
        parent = os.environ.get(PARENT)
        for pixels, tokens, bad in self._batches() if self.step < steps else ():
            loss, rate = self._one(engine, pixels, tokens, steps), schedule(settings, self.step, steps)
            self.bad += bad
            self.step += 1
            if not math.isfinite(loss):
                raise TrainingError(f"the loss is {loss} at step {self.step}; lower train.learning_rate")
            if self.step % every == 0 or self.step == steps:
                seen, mean = self.step * settings.batch_size, self._mean(loss)
                self.log.append({"step": self.step, "samples_seen": seen, "loss": round(mean, 6), "lr": rate})
            if self.step % settings.checkpoint_every == 0 and self.step < steps:
                self._save(target)
                if self.place.first:
                    speed = (self.step - first) * settings.batch_size / max(time.monotonic() - started, 1e-9)
                    said = f"step {self.step:,} of {steps:,}, loss {loss:.3f}, {speed:,.0f} samples/s\n"
                    # In one piece, since trainings beside each other share a terminal.
                    print(f"{self.job.target:<20}{said}", end="", flush=True)
            if parent and not is_alive(int(parent)):
                raise TrainingError("the command that started this training is gone; run it again to go on")
            if self.step == steps:
                break
        self._check_weights()

    def _check_weights(self) -> None:
        """TrainingError where the last step left weights that are no numbers: no loss was computed with them."""
        for name, parameter in self.model.named_parameters():
            if not torch.isfinite(parameter).all():
                raise TrainingError(
                    f"the weights {name} are not finite after step {self.step}, the last one; lower train.learning_rate"
                )

    def _one(self, engine: nn.Module, pixels: torch.Tensor, tokens: torch.Tensor, steps: int) -> float:
        """One step of the optimizer; returns the loss of this process."""
        settings, device = self.job.settings, self.place.device
        for group in self.optimizer.param_groups:
            group["lr"] = schedule(settings, self.step, steps)
        images = self._normalised(pixels.to(device, non_blocking=True))
        dtype = torch.bfloat16 if settings.precision == "amp_bf16" else torch.float16
        mixed = torch.autocast("cuda", dtype) if settings.precision != "fp32" else nullcontext()
        with mixed:
            loss = engine(images, tokens.to(device, non_blocking=True))
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.objective.clamp()
        return loss.item()

    def _mean(self, loss: float) -> float:
        """The loss averaged over processes; each of them must ask."""
        if self.place.world == 1:
            return loss
        total = torch.tensor([loss], device=self.place.device)
        dist.all_reduce(total)
        return float(total) / self.place.world

    def _normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        described = self.model.visual.preprocess_cfg
        mean, std = (torch.tensor(described[k], device=pixels.device).view(1, 3, 1, 1) for k in ("mean", "std"))
        return ((pixels.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)

    def _batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, int]]:
        size = self.model.visual.image_size
        size = size if isinstance(size, tuple) else (size, size)
        settings = self.job.settings
        batches = Batches(
            self.source, self.step, self.job.seed, size, settings.crop_scale, self.tokenizer,
            Pictures(settings.in_memory_bytes),
        )  # fmt: skip
        return iter(loader(batches, settings.workers))

    def _distributed(self) -> nn.Module:
        if self.place.world == 1:
            return self.objective
        if self.place.device == "cpu":
            return nn.parallel.DistributedDataParallel(self.objective)
        self.objective = nn.SyncBatchNorm.convert_sync_batchnorm(self.objective)
        self.model = self.objective.model
        return nn.parallel.DistributedDataParallel(self.objective, device_ids=[int(self.place.device.split(":")[1])])

    # -- checkpoints

    def _save(self, target: Dataset) -> None:
        if not self.place.first:
            return
        state = {
            "step": self.step, "bad": self.bad, "lanes": self.lanes, "log": json.dumps(self.log),
            "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }  # fmt: skip
        checkpoints.save(target, state)

    def resume(self, state: dict[str, Any]) -> None:
        """Goes on from a checkpoint. TrainingError when a stream was cut into other lanes."""
        if state["lanes"] != self.lanes:
            raise TrainingError(
                f"{self.job.target} was begun with {state['lanes']} lanes (processes x workers) and is to go on with "
                f"{self.lanes}: its order would change. Take as many as before, or start over with `--redo train`"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.step, self.bad, self.log = state["step"], state["bad"], json.loads(state["log"])

    def facts(self) -> dict[str, Any]:
        """What `run.json` says."""
        job, steps, sizes = self.job, steps_of(self.job.settings), self.shards.sizes
        return {
            "run": job.target.removeprefix("runs/"), "set": job.kind, "seed": job.seed, "model": job.settings.identity()["model"],
            "samples_seen": steps * job.settings.batch_size, "steps": steps, "batch_size": job.settings.batch_size,
            "objective": job.objective, "online_balance": job.online_balance, "images": sum(sizes.values()), "shards": len(sizes), "undecodable_images_seen": self.bad,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "final_loss": self.log[-1]["loss"] if self.log else None,
        }  # fmt: skip


def schedule(settings: Train, step: int, steps: int) -> float:
    """Learning rate of a step (from 0): linear warm-up to the full rate, then half a cosine down to 0."""
    if step < settings.warmup:
        return settings.learning_rate * (step + 1) / settings.warmup
    progress = (step - settings.warmup) / max(1, steps - settings.warmup)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def decays(name: str, parameter: nn.Parameter) -> bool:
    """Whether weight decay applies: to matrices and kernels, not to gains, biases and single numbers (logit scale, curvature)."""
    return parameter.ndim >= 2 and "bias" not in name and "logit_scale" not in name
