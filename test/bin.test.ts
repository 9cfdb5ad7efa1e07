/** The built command as a process of its own: streams, exit codes, broken pipes. Needs `npm run build`. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';

const repository = path.join(import.meta.dirname, '..');
const built = existsSync(path.join(repository, 'dist/cli/main.js'));

function shell(script: string): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync('bash', ['-c', script], { cwd: repository, encoding: 'utf8' });
  return { status, stdout, stderr };
}

describe.runIf(built)('bin/hpff.js', () => {
  test('writes the whole of a long result into a pipe', () => {
    const { status, stdout } = shell('bin/hpff.js schema | cat');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ title: 'hpff recipe' });
  });

  test('every part of it loads in Node, which is stricter than the test runner about imports', () => {
    const script = 'for (const file of process.argv.slice(1)) await import(file)';
    const loaded = shell(`node --input-type=module -e '${script}' "$PWD"/dist/{index,node}.js "$PWD"/dist/cli/*.js`);
    expect(loaded).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  test('gives the exit code of a refusal', () => {
    expect(shell('bin/hpff.js check no-such-recipe.json')).toEqual({
      status: 2,
      stdout: '',
      stderr: 'hpff: FILE_MISSING: no-such-recipe.json: no such file or folder\n',
    });
  });

  test('ends quietly when nobody reads its output', () => {
    const { stdout, stderr } = shell('bin/hpff.js schema | true; echo "${PIPESTATUS[0]}"');
    expect({ stdout, stderr }).toEqual({ stdout: '0\n', stderr: '' });
  });

  test.runIf(existsSync('/dev/full'))('a full disk under its output is a failure in one line', () => {
    const { status, stderr } = shell('bin/hpff.js schema > /dev/full');
    expect(status).toBe(1);
    expect(stderr).toMatch(/^hpff: SYSTEM: ENOSPC[^\n]*\n$/);
  });
});
