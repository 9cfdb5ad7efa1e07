/** What a step is given and gives, whatever the schedule: the check of its batch, its losses and gradients. */
import { imagesPerRun, type Manifest, type OutputPort } from '../artifacts/index.js';
import type { Batch } from '../data/dataset.js';
import { UsageError } from '../errors.js';
import type { NamedTensors } from '../files/tensor.js';
import type { DeviceTensor } from '../runtime/runtime.js';
import type { StepReport } from './engine.js';

/** @throws UsageError `ENGINE_BATCH` unless the batch has as many images as the graphs take */
export function requireBatch(manifest: Manifest, batch: Batch): void {
  requireImages(batch, imagesPerRun(manifest));
}

/** @throws UsageError `ENGINE_BATCH` unless the batch has so many images */
export function requireImages({ image }: Batch, expected: number): void {
  if (image.shape[0] === expected) return;
  throw new UsageError('ENGINE_BATCH', `batch has ${image.shape[0]} images, the graphs take ${expected}`);
}

/** The weighted sum of those losses that are there. */
export function totalLoss(manifest: Manifest, losses: ReadonlyMap<string, number>): number {
  let total = 0;
  for (const { name, weight } of manifest.losses) if (losses.has(name)) total += weight * losses.get(name)!;
  return total;
}

/** Losses and gradients of one step, as they are found. */
export class StepFindings {
  private readonly losses = new Map<string, number>();
  private readonly gradients: NamedTensors = new Map();

  /** Reads an output if it is a loss or a gradient, and disposes of its tensor. @returns whether it is */
  take({ name, meaning }: OutputPort, tensor: DeviceTensor): boolean {
    if (meaning !== 'loss' && meaning !== 'gradient') return false;
    const host = tensor.read();
    tensor.dispose();
    if (meaning === 'loss') this.losses.set(name.slice('loss/'.length), Number(host.data[0]));
    else this.gradients.set(name.slice('grad/'.length), host);
    return true;
  }

  /** Of a process that hosts some modules only, their part of the total. */
  report(manifest: Manifest): StepReport {
    const { losses, gradients } = this;
    return { losses, total: totalLoss(manifest, losses), gradients };
  }
}
