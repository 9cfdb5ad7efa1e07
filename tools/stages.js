/**
 * Two stages side by side against one process: step time, memory, and what each process computes. Trains on the bundled digits, brought to the size of
 * the recipe's images; each subject in fresh processes, in turn, round after round. Run after `npm run build`. Needs Linux, and nats-server for `nats`.
 *
 *     sync    one process, the schedule sync
 *     pair    two such processes side by side, each at work of its own: what this machine gives at most
 *     one     one process, the schedule async in one stage
 *     two     one process, two stages
 *     nats    two workers and a coordinator over a NATS server on this machine
 *
 * Step times are those between the third step and the third-last, when the pipeline is full: of one epoch, since it is emptied between epochs. Memory is the highest resident memory (VmHWM) of a process from
 * its start to its end.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { parseRecipe, train } from '../dist/node.js';

const SUBJECTS = ['sync', 'pair', 'one', 'two', 'nats'];

const USAGE = `usage: node tools/stages.js [options]
  --recipe FILE    (default graphs/resnet32-cifar10-hpff-k16.json)
  --batch N        images in a step (default 128)
  --steps N        of each subject and round (default 11; those of an epoch at most)
  --rounds N       (default 3)
  --delay D        (default 0)
  --balance B      of the stages: time or memory (default time)
  --lowering L     (default auto)
  --only NAME,…    of ${SUBJECTS.join(', ')}
  --json FILE      also write everything measured to this file`;

/** Steps that are not measured: while the pipeline fills, and while it drains. */
const FILLING = 3;
const DRAINING = 2;

const TRAINING_IMAGES = 1437;

async function main() {
  const options = readOptions();
  if (options.help) return console.log(USAGE);
  const results = new Map(options.subjects.map((subject) => [subject, []]));
  for (let round = 1; round <= options.rounds; round++) {
    for (const subject of options.subjects) {
      const result = subject === 'pair' ? await runPair(options) : await run(subject, options);
      results.get(subject).push(result);
      console.error(`round ${round} of ${options.rounds}: ${subject} ${result.stepSeconds.toFixed(3)} s`);
    }
  }
  const { recipe, batch, steps, delay, rounds } = options;
  console.log(
    `${recipe}, batch ${batch}, ${steps} steps, delay ${delay}, ${rounds} rounds, load ${loadavg()[0].toFixed(1)}\n`,
  );
  console.log(table(results));
  if (options.json) writeFileSync(options.json, `${JSON.stringify(Object.fromEntries(results), null, 2)}\n`);
}

/** Two trainings under `sync` at once; a step of either counts half. */
async function runPair(options) {
  const [first, second] = await Promise.all([run('sync', options), run('sync', options)]);
  return {
    ...first,
    stepSeconds: 1 / (1 / first.stepSeconds + 1 / second.stepSeconds),
    peakMiB: { first: first.peakMiB.training, second: second.peakMiB.training },
    cpu: { first: first.cpu.training, second: second.cpu.training },
  };
}

/** @returns what one training took */
async function run(subject, options) {
  const folder = mkdtempSync(join(tmpdir(), 'hpff-stages-'));
  const children = [];
  try {
    const url = subject === 'nats' ? await startServer(folder, children) : undefined;
    const workers = url === undefined ? [] : [startWorker(url, children), startWorker(url, children)];
    const training = startTraining(subject, { ...options, folder, url }, children);
    return await measure(training, { workers, server: url === undefined ? undefined : children[0] });
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await Promise.all(children.map((child) => child.ended));
    rmSync(folder, { recursive: true, force: true });
  }
}

function start(program, args, children, stdio = ['ignore', 'ignore', 'pipe']) {
  const child = spawn(program, args, { stdio });
  child.text = '';
  child.stderr.on('data', (data) => (child.text = (child.text + data).slice(-10_000)));
  child.ended = new Promise((resolve) => child.on('close', resolve));
  children.push(child);
  return child;
}

async function startServer(folder, children) {
  const port = await freePort();
  const config = join(folder, 'nats.conf');
  writeFileSync(config, `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${folder}/storage" }\n`);
  start('nats-server', ['-c', config], children);
  await sleep(500);
  return `nats://127.0.0.1:${port}`;
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const startWorker = (url, children) =>
  start(
    process.execPath,
    [fileURLToPath(new URL('../bin/hpff.js', import.meta.url)), 'worker', '--connect', url, '--threads', '1'],
    children,
  );

/** A process of this file that trains, as bin/hpff.js starts one. */
function startTraining(subject, { recipe, batch, steps, delay, balance, lowering, folder, url }, children) {
  const settings = { subject, recipe, batch, steps, delay, balance, lowering, folder, url };
  const args = ['--semi-space-growth-factor=1', fileURLToPath(import.meta.url), '--child', JSON.stringify(settings)];
  return start(process.execPath, args, children, ['ignore', 'ignore', 'pipe', 'ipc']);
}

/** The books of all processes at the two ends of what is measured. */
async function measure(training, { workers, server }) {
  const processes = {
    training,
    ...Object.fromEntries(workers.map((worker, i) => [`worker ${i}`, worker])),
    ...(server && { server }),
  };
  const take = () => Object.fromEntries(Object.entries(processes).map(([name, { pid }]) => [name, books(pid)]));
  let [begin, end] = [null, null];
  const [stages, notes] = [[], []];
  training.on('message', ({ event, ...message }) => {
    if (event === 'begin') begin = { time: performance.now(), books: take(), steps: message.step };
    if (event === 'end') end = { time: performance.now(), books: take(), steps: message.step };
    if (event === 'stages' && begin && !end) stages.push(message.stages);
    if (event === 'note') notes.push(message.line);
    if (event === 'done') {
      end.peaks = Object.fromEntries(Object.entries(processes).map(([name, { pid }]) => [name, peak(pid)]));
      training.send('leave');
    }
  });
  if ((await training.ended) !== 0) throw new Error(training.text);
  const seconds = (end.time - begin.time) / 1000;
  const shareOf = (name, key) => (end.books[name][key] - begin.books[name][key]) / seconds;
  const steps = end.steps - begin.steps;
  return {
    stepSeconds: seconds / steps,
    stages: sharesOf(stages),
    peakMiB: end.peaks,
    cpu: Object.fromEntries(
      Object.keys(processes).map((name) => [name, { all: shareOf(name, 'all'), main: shareOf(name, 'main') }]),
    ),
    notes,
  };
}

/** Processor seconds of a process, and of its main thread alone. */
function books(pid) {
  const seconds = (file) => {
    const [user, system] = readFileSync(file, 'utf8').split(') ')[1].split(' ').slice(11, 13).map(Number);
    return (user + system) / 100;
  };
  return { all: seconds(`/proc/${pid}/stat`), main: seconds(`/proc/${pid}/task/${pid}/stat`) };
}

const peak = (pid) => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;

/** Busy and waiting shares of each stage. */
function sharesOf(lists) {
  const [first = []] = lists;
  return first.map(({ modules }, i) => {
    const sum = (key) => lists.reduce((total, list) => total + list[i][key], 0);
    const [busy, waiting] = [sum('busySeconds'), sum('waitingSeconds')];
    return {
      modules: `${modules[0]}-${modules.at(-1)}`,
      busy: busy / (busy + waiting),
      waiting: waiting / (busy + waiting),
    };
  });
}

function table(results) {
  const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
  const reference = results.get('sync')?.map(({ stepSeconds }) => stepSeconds);
  const lines = [
    '| subject | step, s: median (min … max) | times as fast as sync | stages: busy | peak, MiB | cores busy (main thread) |',
    '| --- | --: | --: | --- | --- | --- |',
  ];
  for (const [subject, runs] of results) {
    const seconds = runs.map(({ stepSeconds }) => stepSeconds);
    const ratio = reference ? median(seconds.map((value, i) => reference[i] / value)).toFixed(2) : '–';
    const spread = `${median(seconds).toFixed(3)} (${Math.min(...seconds).toFixed(3)} … ${Math.max(...seconds).toFixed(3)})`;
    const stages = runs[0].stages.map(
      ({ modules }, i) => `${modules}: ${percent(median(runs.map((run) => run.stages[i]?.busy ?? 0)))}`,
    );
    const peaks = Object.keys(runs[0].peakMiB).map(
      (name) => `${name} ${median(runs.map((run) => run.peakMiB[name])).toFixed(0)}`,
    );
    const cores = Object.keys(runs[0].cpu).map((name) => {
      const of = (key) => median(runs.map((run) => run.cpu[name][key])).toFixed(2);
      return `${name} ${of('all')} (${of('main')})`;
    });
    lines.push(
      `| ${subject} | ${spread} | ${ratio} | ${stages.join(', ') || '–'} | ${peaks.join(', ')} | ${cores.join(', ')} |`,
    );
  }
  return lines.join('\n');
}

const percent = (share) => `${(100 * share).toFixed(0)} %`;

/** What the training process does. */
async function trainAs({ subject, recipe: file, batch, steps, delay, balance, lowering, folder, url }) {
  const tell = (message) => process.send(message);
  const recipe = recipeOn(file, batch);
  const staged = {
    one: { stages: 1, delay },
    two: { stages: 2, delay, balance },
    nats: { delay, balance, cluster: { connect: url, workers: 2 } },
  };
  const schedule = subject === 'sync' ? 'sync' : 'async';
  const settings = {
    folder: join(folder, 'run'),
    schedule,
    threads: 1,
    lowering,
    steps,
    logEvery: 1,
    ...staged[subject],
  };
  const event = ({ event: kind, step, stages }) => {
    if (kind !== 'step') return;
    if (stages) tell({ event: 'stages', stages });
    if (step === FILLING) tell({ event: 'begin', step });
    if (step === steps - DRAINING) tell({ event: 'end', step });
  };
  await train(recipe, { ...settings, note: (line) => tell({ event: 'note', line }) }, { event });
  tell({ event: 'done' });
  process.on('message', () => process.exit());
}

/** The recipe with the digits as its data: grey 8×8 images, repeated and padded to what its network takes. */
function recipeOn(file, batch) {
  const recipe = JSON.parse(readFileSync(file, 'utf8'));
  const [channels, height, width] = recipe.network.image;
  const { normalize, augment } = recipe.data;
  const convert = { channels, pad: [height, width] };
  return parseRecipe({ ...recipe, data: { dataset: 'digits', batch, normalize, augment, convert } }, file);
}

function readOptions() {
  const string = (value) => ({ type: 'string', ...(value === undefined ? {} : { default: value }) });
  const { values } = parseArgs({
    options: {
      recipe: string('graphs/resnet32-cifar10-hpff-k16.json'),
      batch: string('128'),
      steps: string('11'),
      rounds: string('3'),
      delay: string('0'),
      balance: string('time'),
      lowering: string('auto'),
      only: string(SUBJECTS.join()),
      json: string(),
      help: { type: 'boolean', default: false },
    },
  });
  const [batch, steps, rounds, delay] = [values.batch, values.steps, values.rounds, values.delay].map(Number);
  const most = Math.floor(TRAINING_IMAGES / batch);
  if (!values.help && !(steps > FILLING + DRAINING && steps <= most)) {
    throw new Error(
      `--steps: found ${values.steps}, allowed: ${FILLING + DRAINING + 1} to ${most}, an epoch at batch ${batch}`,
    );
  }
  return { ...values, batch, steps, rounds, delay, subjects: values.only.split(',') };
}

if (process.argv[2] === '--child') await trainAs(JSON.parse(process.argv[3]));
else await main();
