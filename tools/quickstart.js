/**
 * The quick start: trains on the bundled digits with HPFF, exports the network and evaluates the exported model, with the commands
 * a user would type. Writes into runs/quickstart, which it replaces.
 */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';

const run = 'runs/quickstart';
rmSync(new URL(`../${run}`, import.meta.url), { recursive: true, force: true });
for (const args of [
  ['train', 'graphs/digits-hpff.json', '-o', run],
  ['export', run, '-o', `${run}/model.onnx`],
  ['eval', `${run}/model.onnx`],
]) {
  console.log(`\n$ npx hpff ${args.join(' ')}`);
  const { status } = spawnSync(process.execPath, ['bin/hpff.js', ...args], {
    cwd: new URL('..', import.meta.url),
    stdio: 'inherit',
  });
  if (status !== 0) process.exit(status ?? 1);
}
