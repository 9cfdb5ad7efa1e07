/**
 * Finds what blocks the event loop while a network trains: a timer of a millisecond notes when it came late, the kernel's books say what the main thread
 * did meanwhile, and V8's sampling profiler where. Trains on the bundled digits, brought to the size of the recipe's images. Run after `npm run build`.
 *
 * On a busy machine a gap may be none of ours: the main thread was ready and had no core, or was woken late. So of each gap it is told how long
 *
 *     cpu      the main thread computed
 *     queue    it was ready, and waited for a core
 *     idle     the loop had nothing to do and waited for events
 *
 * and the loop counts as blocked for the gap without `queue` or without `idle`, whichever is shorter: the two overlap. What `cpu` does not make up of that
 * went by waiting for locks, the disk, or the helpers of the garbage collector. Exit code 1 if the loop was blocked for longer than the limit. Needs Linux.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { clearInterval, setInterval } from 'node:timers';
import { parseArgs } from 'node:util';
import { parseRecipe, train } from '../dist/node.js';

const USAGE = `usage: node tools/event-loop.js [options]
  --recipe FILE          (default graphs/resnet32-cifar10-hpff-k16.json)
  --batch N              images in a step (default 128)
  --schedule NAME        (default async)
  --stages N             (default 2, under async)
  --delay D              (default 0, under async)
  --threads N            of ONNX Runtime (default 1)
  --steps N              (default 22: two epochs)
  --checkpoint-every N   steps (default 5)
  --limit MS             longest time that the loop may be blocked (default 50)
  --top N                gaps to print (default 10)`;

async function main() {
  const options = readOptions();
  if (options.help) return console.log(USAGE);
  const watch = await trainWatched(options);
  const gaps = watch.gaps.sort((a, b) => blocked(b) - blocked(a));
  const over = gaps.filter((gap) => blocked(gap) > options.limit);
  console.log(`${options.recipe}, batch ${options.batch}, schedule ${options.schedule}, ${options.steps} steps`);
  console.log(`main thread computed ${share(watch.cpu / watch.wall)} of ${(watch.wall / 1000).toFixed(1)} s`);
  console.log(`load average ${loadavg()[0].toFixed(1)}; gaps over ${options.limit} ms: ${over.length}; longest:\n`);
  console.log('after step    gap  blocked    cpu  queue   idle  (ms)  what ran');
  for (const gap of gaps.slice(0, options.top)) console.log(row(gap, watch.profile));
  if (over.length > 0) process.exitCode = 1;
}

const blocked = ({ wall, queue, idle }) => Math.min(wall - queue, wall - idle);

/** Trains, and watches the loop from the training's start to its end. */
async function trainWatched(options) {
  const folder = mkdtempSync(join(tmpdir(), 'hpff-event-loop-'));
  const sampler = new Session();
  sampler.connect();
  await sampler.post('Profiler.enable');
  await sampler.post('Profiler.setSamplingInterval', { interval: 1000 });
  const watcher = new LoopWatcher();
  let before;
  try {
    await sampler.post('Profiler.start');
    await train(recipeOn(options), settings(options, folder), {
      event: ({ event, step }) => {
        watcher.step = step;
        if (event === 'start') watcher.start();
        if (event === 'start') before = mainThread();
        if (event === 'done') watcher.stop();
      },
      progress: ({ step }) => (watcher.step = step),
    });
    const after = mainThread();
    const { profile } = await sampler.post('Profiler.stop');
    return { gaps: watcher.gaps, profile, wall: after.time - before.time, cpu: after.cpu - before.cpu };
  } finally {
    watcher.stop();
    rmSync(folder, { recursive: true });
  }
}

class LoopWatcher {
  gaps = [];
  step = 0;

  start() {
    let last = mainThread();
    this.timer = setInterval(() => {
      const now = mainThread();
      const [wall, cpu, queue, idle] = ['time', 'cpu', 'queue', 'idle'].map((key) => now[key] - last[key]);
      if (wall > 10) this.gaps.push({ step: this.step, begin: last.time, end: now.time, wall, cpu, queue, idle });
      last = now;
    }, 1);
  }

  stop() {
    clearInterval(this.timer);
  }
}

/** The clock, and how long the main thread has computed, waited for a core and waited for events so far, in milliseconds. */
function mainThread() {
  const [cpu, queue] = readFileSync('/proc/self/schedstat', 'utf8').split(' ').map(Number);
  const { idle } = performance.eventLoopUtilization();
  return { time: Number(process.hrtime.bigint()) / 1e6, cpu: cpu / 1e6, queue: queue / 1e6, idle };
}

function row(gap, profile) {
  const { step, begin, end, wall, cpu, queue, idle } = gap;
  const times = [wall, blocked(gap), cpu, queue, idle].map((milliseconds) => milliseconds.toFixed(1));
  const columns = [step, ...times].map((text, i) => String(text).padStart([10, 7, 9, 7, 7, 7][i]));
  return `${columns.join('')}        ${whatRan(begin, end, profile)}`;
}

/** Functions that samples between two moments met, the most frequent ones. */
function whatRan(begin, end, { nodes, samples, timeDeltas, startTime }) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const times = new Map();
  let now = startTime;
  samples.forEach((id, i) => {
    const delta = timeDeltas[i];
    now += delta;
    if (now < begin * 1000 || now > end * 1000) return;
    const name = nameOf(id, byId, parents);
    if (name !== '(idle)') times.set(name, (times.get(name) ?? 0) + delta / 1000);
  });
  const longest = [...times].sort(([, a], [, b]) => b - a).slice(0, 4);
  return longest.map(([name, milliseconds]) => `${name} ${milliseconds.toFixed(0)}`).join(', ');
}

/** The innermost function, and the innermost two of ours that called it. */
function nameOf(id, byId, parents) {
  const frames = [];
  for (let at = id; at !== undefined; at = parents.get(at)) frames.push(byId.get(at).callFrame);
  const nameIn = ({ functionName, url }) => {
    const file = /\/(dist|node_modules)\/(.*)$/.exec(url)?.[2];
    return `${functionName || '(anonymous)'}${file ? ` ${file}` : ''}`;
  };
  const [leaf] = frames;
  const ours = frames.filter(({ url }) => url.includes('/dist/'));
  return [...new Set([leaf, ...ours.slice(0, 2)])].map(nameIn).join(' < ');
}

function settings({ schedule, stages, delay, threads, steps, checkpointEvery }, folder) {
  const staged = schedule === 'async' ? { stages, delay } : {};
  return { folder: join(folder, 'run'), schedule, threads, steps, checkpointEvery, ...staged };
}

/** The recipe with the digits as its data: grey 8×8 images, repeated and padded to what its network takes. */
function recipeOn({ recipe: file, batch }) {
  const recipe = JSON.parse(readFileSync(file, 'utf8'));
  const [channels, height, width] = recipe.network.image;
  const { normalize, augment } = recipe.data;
  const convert = { channels, pad: [height, width] };
  return parseRecipe({ ...recipe, data: { dataset: 'digits', batch, normalize, augment, convert } }, file);
}

const share = (part) => `${(100 * part).toFixed(1)} %`;

function readOptions() {
  const string = (value) => ({ type: 'string', default: value });
  const { values } = parseArgs({
    options: {
      recipe: string('graphs/resnet32-cifar10-hpff-k16.json'),
      batch: string('128'),
      schedule: string('async'),
      stages: string('2'),
      delay: string('0'),
      threads: string('1'),
      steps: string('22'),
      'checkpoint-every': string('5'),
      limit: string('50'),
      top: string('10'),
      help: { type: 'boolean', default: false },
    },
  });
  const numbers = Object.entries(values).map(([key, value]) => {
    const name = key.replace('-e', 'E');
    return [name, /^[0-9]+$/.test(value) ? Number(value) : value];
  });
  return Object.fromEntries(numbers);
}

await main();
