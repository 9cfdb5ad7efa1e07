/** Measures what a simulation needs of a recipe: the time of every task of every module, what passes between them, and plain back-propagation beside it. */
import { readFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isPassing, stepGraphs } from '../../dist/artifacts/step-graphs.js';
import { stepCosts } from '../../dist/bench/costs.js';
import { median } from '../../dist/bench/median.js';
import { syntheticBatch } from '../../dist/data/synthetic.js';
import { LoadedGraph } from '../../dist/pipeline/loaded-graphs.js';
import { initialWeights, openEngine, parseRecipe, readRecipe } from '../../dist/node.js';

/**
 * @typedef {object} Times
 * @property {string} recipe
 * @property {number} batch
 * @property {number} threads
 * @property {string} lowering
 * @property {number} steps measured
 * @property {'cpu' | 'wall'} clock
 * @property {readonly (import('./pipelines.js').Module & { parts: readonly string[] })[]} modules
 */

/**
 * Steps of the recipe and of plain back-propagation of the same network in turn, after one of each that does not count; medians. On one thread, processor time
 * is taken, which other processes disturb less than wall time.
 *
 * @param {string} file of the recipe
 * @param {{ batch: number, threads: number, steps: number, progress: (line: string) => void }} setting
 * @returns {Promise<Times>}
 */
export async function measure(file, { batch, threads, steps, progress }) {
  const withBatch = (recipe) => ({ ...recipe, data: { ...recipe.data, batch } });
  const recipe = withBatch(await readRecipe(file));
  const plain = withBatch(
    parseRecipe(plainForm(JSON.parse(await readFile(file, 'utf8'))), `${file}, as back-propagation`),
  );
  const clock = threads === 1 ? 'cpu' : 'wall';
  progress(`building ${recipe.name}`);
  const local = await Measured.open(recipe, threads, clock);
  const whole = await Measured.open(plain, threads, clock);
  try {
    for (let step = 0; step <= steps; step++) {
      progress(`step ${step} of ${steps}`);
      await local.step();
      await whole.step();
    }
  } finally {
    local.dispose();
    whole.dispose();
  }
  progress('which part of back-propagation takes how much');
  const nodes = await nodeCosts(plain, threads, steps);
  const parts = local.manifest.modules.map(({ blocks }) => blocks);
  const backPropagation = shares(nodes, whole.phaseSeconds(), parts);
  const modules = local.modules().map((tasks, i) => ({ parts: parts[i], tasks, backPropagation: backPropagation[i] }));
  return { recipe: recipe.name, batch, threads, lowering: local.lowering, steps, clock, modules };
}

/** A recipe for the same network, trained as a whole. */
function plainForm(recipe) {
  return Object.fromEntries(Object.entries({ ...recipe, local: { rule: 'bp' } }).filter(([key]) => key !== 'split'));
}

/** An engine whose tasks are timed. */
class Measured {
  /** By file of the task's graph, of each step. */
  seconds = new Map();
  steps = 0;

  static async open(recipe, threads, clock) {
    const measured = new Measured();
    const { engine, manifest, lowering, dispose } = await openEngine(recipe, { schedule: 'sync', threads });
    engine.load(initialWeights(recipe));
    return Object.assign(measured, {
      engine,
      manifest,
      dispose,
      clock,
      lowering: lowering.lowering.name,
      entries: stepGraphs(manifest, 'sync'),
      batch: syntheticBatch(recipe),
    });
  }

  async step() {
    const count = ++this.steps;
    const run = LoadedGraph.prototype.run;
    const measured = this;
    LoadedGraph.prototype.run = async function (...values) {
      const started = secondsOn(measured.clock);
      const outputs = await run.apply(this, values);
      const taken = secondsOn(measured.clock) - started;
      const { file } = this.entry;
      if (count > 1) measured.seconds.set(file, [...(measured.seconds.get(file) ?? []), taken]);
      return outputs;
    };
    try {
      await this.engine.step(this.batch, 0.01, count);
    } finally {
      LoadedGraph.prototype.run = run;
    }
  }

  /** The tasks of each module. */
  modules() {
    const tasks = this.entries.map(({ file, phase, inputs, outputs }, rank) => ({
      phase,
      rank,
      seconds: median(this.seconds.get(file)),
      reads: inputs.filter(({ meaning }) => isPassing(meaning)).map(port),
      makes: outputs.filter(({ meaning }) => isPassing(meaning)).map(port),
    }));
    return this.manifest.modules.map(({ index }) => tasks.filter((_, i) => this.entries[i].module === index));
  }

  phaseSeconds() {
    return Object.fromEntries(this.entries.map(({ file, phase }) => [phase, median(this.seconds.get(file))]));
  }
}

function secondsOn(clock) {
  if (clock === 'wall') return performance.now() / 1000;
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

const port = ({ name, meaning, dtype, shape }) => ({
  name,
  meaning,
  bytes: shape.reduce((product, size) => product * size, dtype === 'int64' ? 8 : 4),
});

async function nodeCosts(recipe, threads, steps) {
  const profileFolder = await mkdtemp(path.join(tmpdir(), 'hpff-simulate-'));
  try {
    const { engine, dispose } = await openEngine(recipe, { schedule: 'sync', threads, profileFolder });
    try {
      engine.load(initialWeights(recipe));
      const batch = syntheticBatch(recipe);
      for (let step = 0; step <= steps; step++) await engine.step(batch, 0.01, step + 1);
      return stepCosts(await engine.endProfile(), 1).nodes;
    } finally {
      dispose();
    }
  } finally {
    await rm(profileFolder, { recursive: true, force: true });
  }
}

/** The times of back-propagation's tasks, divided over modules as the kernels of their layers take it. */
function shares(nodes, phaseSeconds, parts) {
  const sums = parts.map(() => ({ forward: 0, backward: 0, optimizer: 0 }));
  const moduleOf = new Map(parts.flatMap((names, i) => names.map((name) => [name, i])));
  for (const { layer, part, phase, seconds } of nodes) {
    // Pool, classifier and loss, which belong to no block, are the last module's.
    const owner = [...moduleOf].find(([name]) => layer === name || layer.startsWith(`${name}.`));
    const kind = part === 'optimizer' ? 'optimizer' : phase === 'forward' ? 'forward' : 'backward';
    sums[owner?.[1] ?? parts.length - 1][kind] += seconds;
  }
  const total = (kind) => sums.reduce((sum, each) => sum + each[kind], 0);
  const forwardScale = phaseSeconds.forward / total('forward');
  const updateScale = (phaseSeconds.heads + phaseSeconds.update) / (total('backward') + total('optimizer'));
  return sums.map(({ forward, backward, optimizer }) => ({
    forwardSeconds: forward * forwardScale,
    backwardSeconds: backward * updateScale,
    optimizerSeconds: optimizer * updateScale,
  }));
}
