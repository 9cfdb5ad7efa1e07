/** Plain back-propagation in PyTorch as one of the processes that a benchmark measures in turn. */
import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('torch-step.py', import.meta.url));

/**
 * @param {readonly string[]} candidates interpreters, best first
 * @returns {string | undefined} the first that has PyTorch
 */
export function pythonWithTorch(candidates) {
  return candidates.find((python) => spawnSync(python, ['-c', 'import torch'], { env: environment() }).status === 0);
}

/** A `Trainer` of src/bench. */
export class TorchProcess {
  #child;
  #answers;
  #complaints = '';
  #ready;

  /** @param {{ python: string, depth: number, batch: number, threads: number, channelsLast: boolean }} options */
  constructor({ python, depth, batch, threads, channelsLast }) {
    const numbers = Object.entries({ depth, batch, threads }).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const args = [script, '--interactive', ...numbers, ...(channelsLast ? ['--channels-last'] : [])];
    this.#child = spawn(python, args, { env: environment() });
    this.#child.on('error', (error) => (this.#complaints += error.message));
    this.#child.stdin.on('error', () => {}); // its end is seen on its output
    this.#child.stderr.setEncoding('utf8').on('data', (text) => (this.#complaints += text));
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** @returns {Promise<{ openSeconds: number, parameters: number, version: string }>} */
  async start() {
    return (this.#ready = await this.#answer('ready'));
  }

  /** @returns {Promise<number>} seconds */
  async step() {
    return (await this.#ask('step', 'stepped')).seconds;
  }

  /** @returns {Promise<{ lowering: string, openSeconds: number, peakBytes: number, weightBytes: number, processPeakBytes: number }>} */
  async finish() {
    const { peakBytes, weightBytes, processPeakBytes } = await this.#ask('finish', 'finished');
    const { openSeconds, version } = this.#ready;
    return { lowering: `PyTorch ${version}`, openSeconds, peakBytes, weightBytes, processPeakBytes };
  }

  kill() {
    this.#child.kill('SIGKILL');
  }

  #ask(command, kind) {
    this.#child.stdin.write(`${command}\n`);
    return this.#answer(kind);
  }

  async #answer(kind) {
    const { value, done } = await this.#answers.next();
    if (done) throw new Error(`PyTorch's process ended: ${this.#complaints.trim().split('\n').at(-1)}`);
    const answer = JSON.parse(value);
    if (answer.kind !== kind) throw new Error(`PyTorch's process: expected '${kind}', answered '${answer.kind}'`);
    return answer;
  }
}

/** Without settings meant for other uses of OpenBLAS, which make it pick slower kernels or fewer threads. */
function environment() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('OPENBLAS_')));
}
