/**
 * Measures training steps of hpff and of PyTorch on this machine, in alternating rounds, each subject in a process of its own, and prints one table.
 * Run after `npm run build`; see README.md here.
 */
import { writeFile } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { alternate } from '../../dist/bench/index.js';
import { positive } from './options.js';
import { SUBJECTS } from './subjects.js';
import { relativeToTorch, spread, table, torchReference } from './table.js';
import { pythonWithTorch } from './torch-process.js';

const USAGE = `usage: node tools/bench/run.js [options]
  --depth 32|110    layers of the residual network (default 32)
  --batch N         images in a step (default 128)
  --rounds N        measured steps of each subject, after one that is not (default 5)
  --threads N,…     (default 1,2)
  --only ID,…       of the subjects only these: ${SUBJECTS[32].map(({ id }) => id).join(', ')}
  --python PATH     an interpreter that has PyTorch (default: python3, or /usr/bin/python3)
  --json FILE       also write everything measured to this file`;

const NO_TORCH = 'PyTorch is not installed (on Debian: apt-get install python3-torch)';

async function main() {
  const options = readOptions();
  if (options.help) return console.log(USAGE);
  const [load] = loadavg();
  if (load > 1) console.error(`the machine is busy (load ${load.toFixed(1)}): times will say little`);
  const python = pythonWithTorch(options.pythons);
  if (options.pythonGiven && !python) {
    throw new Error(`--python: found '${options.pythons[0]}', allowed: an interpreter that has PyTorch`);
  }
  const subjects = options.subjects.filter(({ torch }) => python || !torch);
  if (subjects.length === 0) throw new Error(`--only: ${NO_TORCH}`);
  if (subjects.length < options.subjects.length) console.error(`${NO_TORCH}: measuring without it`);
  const rows = [];
  for (const threads of options.threads) rows.push(...(await measure(subjects, { ...options, python, threads })));
  const { depth, batch, rounds } = options;
  const counted = rounds === 1 ? '1 round' : `${rounds} rounds`;
  console.log(`ResNet-${depth}, batch ${batch}, ${counted}, ${cpus().length} × ${cpus()[0].model}\n`);
  console.log(table(rows));
  const reference = torchReference(rows);
  if (reference) console.log(`\n${reference}`);
  if (options.json) {
    const cpu = cpus()[0].model;
    const machine = { cpu, cpus: cpus().length, load, platform: process.platform, node: process.version };
    const results = rows.map((row) => ({
      ...row,
      stepSeconds: spread(row.seconds),
      relativeToTorch: relativeToTorch(row, rows) ?? null,
    }));
    await writeFile(options.json, `${JSON.stringify({ machine, depth, batch, rounds, results }, null, 2)}\n`);
  }
}

/** All subjects on so many threads, in turn. */
async function measure(subjects, setting) {
  const { threads, rounds } = setting;
  const processes = [];
  for (const subject of subjects) processes.push(await subject.open(setting));
  const measurements = await alternate(processes, rounds, (done) => {
    if (process.stderr.isTTY) process.stderr.write(`\rthreads ${threads}: round ${done}/${rounds}\x1b[K`);
  });
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  return measurements.map(({ seconds, finished }, i) => {
    const { id, title, torch } = subjects[i];
    return { ...finished, id, title, torch, threads, seconds };
  });
}

/** @throws Error with one line for the user */
function readOptions() {
  const { values } = parseArgs({
    options: {
      depth: { type: 'string', default: '32' },
      batch: { type: 'string', default: '128' },
      rounds: { type: 'string', default: '5' },
      threads: { type: 'string', default: '1,2' },
      only: { type: 'string' },
      python: { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const { only, python, json, help } = values;
  const subjects = SUBJECTS[values.depth];
  if (!subjects) throw new Error(`--depth: found ${values.depth}, allowed: ${Object.keys(SUBJECTS).join(', ')}`);
  return {
    depth: Number(values.depth),
    batch: positive('--batch', values.batch),
    rounds: positive('--rounds', values.rounds),
    threads: values.threads.split(',').map((text) => positive('--threads', text)),
    subjects: only === undefined ? subjects : selected(subjects, only.split(',')),
    pythonGiven: python !== undefined,
    pythons: python === undefined ? ['python3', '/usr/bin/python3'] : [python],
    json,
    help,
  };
}

function selected(subjects, ids) {
  const known = subjects.map(({ id }) => id);
  const unknown = ids.find((id) => !known.includes(id));
  if (unknown !== undefined) throw new Error(`--only: found '${unknown}', allowed: ${known.join(', ')}`);
  return subjects.filter(({ id }) => ids.includes(id));
}

try {
  await main();
} catch (error) {
  console.error(`tools/bench/run.js: ${error.message}`);
  process.exitCode = 1;
}
