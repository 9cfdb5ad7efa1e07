/**
 * Trains the digits over NATS while workers and the server are killed (-9) at random moments, and compares the final weights with those of one undisturbed process.
 * Needs nats-server. Run after `npm run build`.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../dist/random.js';
import { commandLine } from './command-line.js';

const USAGE = `usage: node tools/cluster-kills.js [options]
  --kills N      (default 50)
  --workers N    (default 2)
  --delay D      (default 1)
  --seed N       of the moments and of who is killed (default 1)
  --epochs N     (default 150)`;

const { values } = commandLine(USAGE, {
  options: {
    kills: { type: 'string', default: '50' },
    workers: { type: 'string', default: '2' },
    delay: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    epochs: { type: 'string', default: '150' },
  },
});
const [kills, workers, seed] = [values.kills, values.workers, values.seed].map(Number);
const hpff = new URL('../bin/hpff.js', import.meta.url).pathname;
const recipe = new URL('../graphs/digits-hpff.json', import.meta.url).pathname;
const random = new Random(seed, 'kills');
const root = mkdtempSync(path.join(tmpdir(), 'hpff-kills-'));
const common = ['--epochs', values.epochs, '--delay', values.delay, '--checkpoint-every', '5', '--threads', '1'];

const port = await freePort();
const url = `nats://127.0.0.1:${port}`;
writeFileSync(
  path.join(root, 'nats.conf'),
  `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${root}/storage" }\n`,
);

const startServer = () => start('nats-server', ['-c', path.join(root, 'nats.conf')]);
const startWorker = () => start(process.execPath, [hpff, 'worker', '--connect', url, '--threads', '1']);

/** @returns a process that is killed with this one */
function start(program, args) {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  child.text = '';
  child.stderr.on('data', (data) => (child.text = (child.text + data).slice(-20_000)));
  process.once('exit', () => child.kill('SIGKILL'));
  child.ended = new Promise((resolve) => child.on('close', resolve));
  return child;
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function bits(folder) {
  const step = readFileSync(path.join(folder, 'latest'), 'utf8').trim();
  const file = (name) => readFileSync(path.join(folder, 'checkpoints', step, `${name}.safetensors`));
  return ['weights', 'optimizer'].map((name) => createHash('sha256').update(file(name)).digest('hex')).join(' ');
}

process.setMaxListeners(0);
const calm = path.join(root, 'calm');
const reference = start(process.execPath, [hpff, 'train', recipe, '-o', calm, '--schedule', 'async', ...common]);
if ((await reference.ended) !== 0) throw new Error(reference.text);

let server = startServer();
await sleep(500);
const crew = Array.from({ length: workers }, startWorker);
const stormy = path.join(root, 'stormy');
const connected = ['--connect', url, '--workers', String(workers), '--verbose'];
const training = start(process.execPath, [hpff, 'train', recipe, '-o', stormy, ...connected, ...common]);
let over = false;
void training.ended.then(() => (over = true));

/** Waits until training has written another checkpoint: each kill is to hit work. */
let last = '';
async function progress() {
  for (; !over; await sleep(50)) {
    const latest = existsSync(path.join(stormy, 'latest')) ? readFileSync(path.join(stormy, 'latest'), 'utf8') : '';
    if (latest === last || latest === '') continue;
    last = latest;
    return;
  }
}

let done = 0;
let ofServer = 0;
while (done < kills && !over) {
  await progress();
  await sleep(random.int(1500));
  if (over) break;
  done++;
  if (random.int(4) === 0) {
    ofServer++;
    server.kill('SIGKILL');
    await server.ended;
    await sleep(random.int(2000));
    server = startServer();
  } else {
    const i = random.int(workers);
    crew[i].kill('SIGKILL');
    await crew[i].ended;
    crew[i] = startWorker();
  }
  if (done % 10 === 0) console.log(`${done} kills`);
}
const code = await training.ended;
const same = code === 0 && bits(stormy) === bits(calm);
console.log(`${done} kills, ${ofServer} of them of the server; training ended with ${code}; same bits: ${same}`);
if (!same) console.error(training.text);
rmSync(root, { recursive: true, force: true });
process.exit(same ? 0 : 1);
