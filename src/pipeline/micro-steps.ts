/**
 * Steps over micro-batches: a step of the optimizer is several runs of the graphs, each on its share of the batch. To what runs graphs, the runs are steps like
 * any others, numbered through; scalars tell the graphs which run is the last of a step.
 */
import { imagesPerRun, type Manifest, runsPerStep } from '../artifacts/index.js';
import type { Batch } from '../data/dataset.js';
import type { StepInput, StepReport, StepRun } from './engine.js';
import { requireImages } from './step-findings.js';

/**
 * The runs of steps as runs of the graphs. Losses of a step are the means over its runs; its gradients are those that its last run reports.
 * Where the graphs take whole batches, it is the same run.
 */
export function inMicroSteps(run: StepRun, manifest: Manifest): StepRun {
  const runs = runsPerStep(manifest);
  if (runs === 1) return run;
  const { report, wantsGradients } = run;
  const reports: StepReport[] = [];
  return {
    first: (run.first - 1) * runs + 1,
    next: partsOf(run.next, manifest, runs),
    report: async (found, number) => {
      reports.push(found);
      if (number % runs === 0) await report?.(meanOf(reports.splice(0)), number / runs);
    },
    wantsGradients: (number) => number % runs === 0 && (wantsGradients?.(number / runs) ?? false),
  };
}

function partsOf(next: StepRun['next'], manifest: Manifest, runs: number): StepRun['next'] {
  const left: StepInput[] = [];
  return async () => {
    if (left.length === 0) {
      const input = await next();
      if (!input) return undefined;
      requireImages(input.batch, manifest.batch);
      const images = imagesPerRun(manifest);
      for (let i = 0; i < runs; i++) left.push({ ...input, batch: part(input.batch, i * images, images) });
    }
    return left.shift();
  };
}

/** Some images of a batch; they share its memory. */
function part({ image, label }: Batch, start: number, count: number): Batch {
  const [, ...size] = image.shape;
  const pixels = image.data.length / image.shape[0]!;
  return {
    image: { ...image, shape: [count, ...size], data: image.data.subarray(start * pixels, (start + count) * pixels) },
    label: { ...label, shape: [count], data: label.data.subarray(start, start + count) },
  };
}

function meanOf(reports: readonly StepReport[]): StepReport {
  const mean = (pick: (report: StepReport) => number): number =>
    reports.reduce((sum, report) => sum + pick(report), 0) / reports.length;
  const last = reports.at(-1)!;
  return {
    losses: new Map([...last.losses.keys()].map((name) => [name, mean(({ losses }) => losses.get(name)!)])),
    total: mean(({ total }) => total),
    gradients: last.gradients,
  };
}
