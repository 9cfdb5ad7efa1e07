/**
 * Event files read by TensorBoard itself: `pip install tensorboard` for the `python3` on the path, or name the Python that has it in
 * HPFF_TENSORBOARD_PYTHON. Without it the test is skipped.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { tinyRecipeFile } from './support/training.js';
import { transpileSources, type Transpiled } from './transpiled.js';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 });

const repository = path.join(import.meta.dirname, '..');
const python = process.env.HPFF_TENSORBOARD_PYTHON ?? 'python3';
const installed = spawnSync(python, ['-c', 'import tensorboard']).status === 0;

let transpiled: Transpiled;
let root: string;
let recipe: string;

beforeAll(() => {
  if (!installed) return;
  transpiled = transpileSources();
  root = mkdtempSync(path.join(tmpdir(), 'hpff-tensorboard-'));
  recipe = path.join(root, 'tiny.json');
  writeFileSync(recipe, JSON.stringify(tinyRecipeFile({ schedule: { type: 'cosine', epochs: 8 } })));
});
afterAll(() => {
  if (!installed) return;
  transpiled.remove();
  rmSync(root, { recursive: true });
});

/** Trains in a process of its own. @param killAt step after which it is killed; undefined lets it end */
async function train(folder: string, killAt: number | undefined, ...more: string[]): Promise<void> {
  const data = path.join(repository, 'data/digits');
  const args = ['hpff.js', 'train', recipe, '-o', folder, '--data', data, '--threads', '1', '--json', ...more];
  const child = spawn(process.execPath, args, { cwd: transpiled.folder, stdio: ['ignore', 'pipe', 'inherit'] });
  let stdout = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    const reached = [...stdout.matchAll(/"event":"step","step":(\d+)/g)].some(([, step]) => Number(step) >= killAt!);
    if (killAt !== undefined && reached) child.kill('SIGKILL');
  });
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  expect({ code, signal }).toEqual(
    killAt === undefined ? { code: 0, signal: null } : { code: null, signal: 'SIGKILL' },
  );
}

test.skipIf(!installed)('scalars are right after kills and a stop (needs TensorBoard)', async () => {
  const folder = path.join(root, 'run');
  // Every fourth step is recorded; checkpoints of step 10 and 20 lie between, so what follows them is trained again.
  await train(folder, 16, '--checkpoint-every', '10');
  await train(folder, 24, '--checkpoint-every', '10', '--resume');
  await train(folder, undefined, '--steps', '28', '--resume');
  await train(folder, undefined, '--resume');
  expect(readdirSync(folder).filter((name) => name.startsWith('events.'))).toHaveLength(4);
  const { status, stdout, stderr } = spawnSync(python, [path.join(repository, 'tools/check-tensorboard.py'), folder], {
    encoding: 'utf8',
  });
  expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
  const { problems, values } = JSON.parse(stdout) as { problems: string[]; values: number };
  expect(problems).toEqual([]);
  expect(values).toBeGreaterThan(8 * 10);
});
