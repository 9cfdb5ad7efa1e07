/** `hpff inspect RECIPE|DIR|RUN`: what each local module is and costs. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isArtifactFolder, readManifest } from '../../artifacts/folder.js';
import { predictStepMemory } from '../../artifacts/index.js';
import { InputError } from '../../errors.js';
import { printable } from '../../files/printable.js';
import { buildStep, keptBytes, type KeptBytes, type ModuleCost, moduleCosts } from '../../local/index.js';
import { blocked, type Lowering, portable } from '../../lower/index.js';
import { type MeasuredSplit, measureSplit, stepScheduleNames } from '../../pipeline/index.js';
import type { Recipe } from '../../recipe/index.js';
import { readRecipe } from '../../recipe/read.js';
import { newCommand, type AddCommand, type CommonOptions } from '../command.js';
import { batchOption, choiceOption, integerOption, loweringOption } from '../options.js';
import { Output } from '../output.js';
import { counted } from '../words.js';

type StepSchedule = (typeof stepScheduleNames)[number];

interface InspectOptions extends CommonOptions {
  readonly batch?: number;
  readonly schedule?: StepSchedule;
  readonly lowering: string;
  readonly measure?: boolean;
  readonly modules?: number;
  readonly threads?: number;
}

/** Predicted memory of a step. */
interface MemoryEntry {
  readonly schedule: StepSchedule;
  readonly lowering: string;
  /** Channels in a block; null where maps are not blocked. */
  readonly block: number | null;
  /** Beyond parameters, running statistics and optimizer state. */
  readonly predictedBytes: number;
  /** Of the heads of one module alone, at most; absent where no graph is theirs alone. */
  readonly headBytes?: number;
  /** Where it is taken: file of a graph, and name of a node. */
  readonly peakGraph: string;
  readonly peakNode: string;
}

export const addInspect: AddCommand = (program, streams) => {
  newCommand(program, 'inspect <path>', 'show the modules of a recipe, an artifact folder or a run')
    .addOption(batchOption())
    .addOption(choiceOption('--schedule <schedule>', 'predict memory of this schedule only', stepScheduleNames))
    .addOption(loweringOption())
    .option(
      '--measure',
      'train each block as a module for a few steps on noise, and print the split that balances times',
    )
    .addOption(
      integerOption('--modules <n>', 'with --measure: modules of that split (default: as the recipe has)', 1, 4096),
    )
    .addOption(integerOption('--threads <n>', 'with --measure: threads to compute with (default: 1)', 1, 1024))
    .action(async (path: string, options: InspectOptions) => {
      const output = new Output(streams, options.json ?? false);
      requireMeasure(options);
      const { recipe, batch: built, lowering: known } = await readSubject(path, output.warn);
      const batch = options.batch ?? built;
      const step = buildStep(recipe, batch);
      const modules = moduleCosts(step);
      const kept = keptBytes(step);
      const lowering = loweringOf(options.lowering === 'auto' ? (known ?? 'blocked') : options.lowering);
      const schedules: readonly StepSchedule[] =
        options.schedule === undefined ? ['sync', 'fused'] : [options.schedule];
      const memory = schedules.map((schedule) => predicted(recipe, batch, schedule, lowering));
      const split = options.measure ? await measured(recipe, batch, modules.length, options) : undefined;
      const total = (pick: (cost: ModuleCost) => number): number => modules.reduce((sum, cost) => sum + pick(cost), 0);
      output.result(
        {
          name: recipe.name,
          batch,
          microBatch: step.images,
          modules,
          total: {
            parameters: total((cost) => cost.parameters),
            headParameters: total((cost) => cost.headParameters),
            flops: total((cost) => cost.flops),
            activationBytes: total((cost) => cost.activationBytes),
          },
          kept,
          memory,
          ...(split ? { measured: split } : {}),
        },
        [
          `${recipe.name}: ${counted(modules.length, 'module')}, batch ${batch}${step.runs > 1 ? ` in micro-batches of ${step.images}` : ''}`,
          table(modules),
          keptLine(kept),
          memoryLine(memory),
          legend,
          ...(split ? [measuredText(split)] : []),
        ].join('\n'),
      );
    });
};

function requireMeasure({ measure, modules, threads }: InspectOptions): void {
  if (measure) return;
  for (const [option, value] of Object.entries({ modules, threads })) {
    if (value === undefined) continue;
    throw new InputError('MEASURE_OPTION', `--${option}: found without --measure, allowed: with --measure only`);
  }
}

function measured(
  recipe: Recipe,
  batch: number,
  has: number,
  { modules = has, threads = 1, lowering }: InspectOptions,
): Promise<MeasuredSplit> {
  return measureSplit({ ...recipe, data: { ...recipe.data, batch } }, { modules, threads, lowering });
}

function measuredText({ lowering, measured, boundaries, milliseconds }: MeasuredSplit): string {
  const phases = ['forward', 'heads', 'relay', 'update'] as const;
  const times = aligned([
    ['blocks', ...phases],
    ...measured.map(({ blocks, milliseconds: taken }) => [
      span(blocks),
      ...phases.map((phase) => `${taken[phase].toFixed(1)} ms`),
    ]),
  ]);
  const each = milliseconds.map((time) => `${time.toFixed(0)} ms`).join(', ');
  return [
    `Measured, each block as a module (${lowering}):`,
    times,
    `For modules that take ${each}: "split": ${JSON.stringify({ boundaries })}`,
  ].join('\n');
}

const legend =
  'FLOPs of one step: convolutions and matrix products only, counted on the graph (a multiply-add is two).\n' +
  'Kept: activations that the forward pass keeps for the backward passes, counted on the graph. Alive in heads: at most, one after another.\n' +
  'Peak memory: what is alive at once of all that the graphs make, in the order in which they run.\n' +
  'The process takes more, usually by 10 to 20 %: gaps in its memory, what kernels hold, JavaScript (hpff bench measures it).';

function keptLine({ weightBytes, optimizerBytes, averageBytes, gradientSumBytes }: KeptBytes): string {
  const further = [
    ['optimizer', optimizerBytes],
    ['moving averages', averageBytes],
    ['sums of gradients', gradientSumBytes],
  ] as const;
  const parts = further.flatMap(([what, bytes]) => (bytes > 0 ? `${what} ${bytesText(bytes)}` : []));
  return `Kept from step to step: ${[`weights ${bytesText(weightBytes)}`, ...parts].join(', ')}.`;
}

/** ONNX Runtime is not asked which lowering is right for this CPU, nor how many channels it blocks: 8 with AVX2, 16 with AVX-512. */
const loweringOf = (name: string): Lowering => (name === 'portable' ? portable : blocked(8));

function predicted(recipe: Recipe, batch: number, schedule: StepSchedule, lowering: Lowering): MemoryEntry {
  const { peakBytes, headBytes, ...place } = predictStepMemory(recipe, { schedule, lowering, batch });
  const { name, block = null } = lowering;
  const heads = headBytes === 0 ? {} : { headBytes };
  return { schedule, lowering: name, block, predictedBytes: peakBytes, ...heads, ...place };
}

function memoryLine(memory: readonly MemoryEntry[]): string {
  const entries = memory.map(({ schedule, lowering, block, predictedBytes, headBytes }) => {
    const detail = block === null ? lowering : `${lowering} by ${block} channels`;
    const heads = headBytes === undefined ? '' : `; the heads of a module: ${bytesText(headBytes)}`;
    return `${bytesText(predictedBytes)} (${schedule}, ${detail}${heads})`;
  });
  return `Peak memory of a step beyond the weights, predicted: ${entries.join(', ')}.`;
}

/** A recipe and the batch it is for, from a recipe file, an artifact folder or a run folder. */
async function readSubject(
  path: string,
  warn: (line: string) => void,
): Promise<{ recipe: Recipe; batch: number; lowering?: string }> {
  if (!(await isFolder(path))) {
    if (path.endsWith('.onnx') && (await exists(path))) {
      throw new InputError(
        'INSPECT_MODEL',
        `${printable(path)}: found an ONNX model, allowed: a recipe, an artifact folder or a run folder (hpff eval measures a model)`,
      );
    }
    const recipe = await readRecipe(path, warn);
    return { recipe, batch: recipe.data.batch };
  }
  if (await isArtifactFolder(path)) return readManifest(path);
  const runRecipe = join(path, 'recipe.json');
  if (!(await exists(runRecipe))) {
    throw new InputError(
      'INSPECT_FOLDER',
      `${printable(path)}: found a folder without manifest.json and recipe.json, allowed: a recipe, an artifact folder or a run folder`,
    );
  }
  const recipe = await readRecipe(runRecipe, warn);
  return { recipe, batch: recipe.data.batch };
}

const isFolder = async (path: string): Promise<boolean> => (await stat(path).catch(() => null))?.isDirectory() ?? false;

const exists = async (path: string): Promise<boolean> => (await stat(path).catch(() => null)) !== null;

function table(modules: readonly ModuleCost[]): string {
  const header = ['module', 'blocks', 'parameters', 'in heads', 'forward', 'step', 'kept', 'alive in heads', 'heads'];
  const rows = modules.map((cost, index) => [
    String(index),
    span(cost.blocks),
    String(cost.parameters),
    String(cost.headParameters),
    scaled(cost.forwardFlops, ['FLOP', 'kFLOP', 'MFLOP', 'GFLOP', 'TFLOP'], 1000),
    scaled(cost.flops, ['FLOP', 'kFLOP', 'MFLOP', 'GFLOP', 'TFLOP'], 1000),
    bytesText(cost.activationBytes),
    bytesText(cost.headBytes),
    cost.heads.join(', '),
  ]);
  return aligned([header, ...rows]);
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** First and last of a list of blocks. */
function span(blocks: readonly string[]): string {
  return blocks.length > 2 ? `${blocks[0]} … ${blocks.at(-1)}` : blocks.join(', ');
}

const bytesText = (bytes: number): string => scaled(bytes, ['B', 'KiB', 'MiB', 'GiB'], 1024);

function scaled(value: number, units: readonly string[], base: number): string {
  let unit = 0;
  while (value >= base && unit < units.length - 1) {
    value /= base;
    unit++;
  }
  return `${unit === 0 || value >= 999.5 ? Math.round(value) : value.toPrecision(3)} ${units[unit]}`;
}
