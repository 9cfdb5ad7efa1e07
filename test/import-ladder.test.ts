/** The linter refuses imports that run up the ladder of src/ or in a circle. */
import { mkdtemp, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ESLint } from 'eslint';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LADDER, importRules } from '../eslint.ladder.js';

const repository = path.join(import.meta.dirname, '..');
let root: string;

beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'hpff-ladder-'));
  // The linter finds its parser from the files that it reads.
  await symlink(path.join(repository, 'node_modules'), path.join(root, 'node_modules'));
});
afterEach(() => rm(root, { recursive: true }));

/** Lints files of a made-up repository. @returns `file: message` of each finding */
async function lint(files: Record<string, string>): Promise<string[]> {
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(root, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, text);
  }
  const eslint = new ESLint({ cwd: root, overrideConfigFile: true, overrideConfig: importRules });
  const results = await eslint.lintFiles(['src']);
  return results.flatMap((result) =>
    result.messages.map((message) => `${path.relative(root, result.filePath)}: ${message.message}`),
  );
}

test('imports from lower parts and from the same part pass', async () => {
  const findings = await lint({
    'src/errors.ts': 'export const a = 1;',
    'src/nn/layer.ts': "import { a } from '../errors.js';\nimport { b } from './loss.js';\nexport const c = a + b;",
    'src/nn/loss.ts': "import type { c } from '../graph/deep/value.js';\nexport const b: typeof c = 1;",
    'src/graph/deep/value.ts': 'export const c = 1;',
  });
  expect(findings).toEqual([]);
});

test.each([
  ['a value import', "import { t } from '../train/trainer.js';\nexport const n = t;"],
  ['a type import', "import type { t } from '../train/trainer.js';\nexport type N = typeof t;"],
  ['a named export', "export { t } from '../train/trainer.js';"],
  ['an export of everything', "export * from '../train/trainer.js';"],
  ['a dynamic import', "export const n = await import('../train/trainer.js');"],
  ['an inline type import', "export type N = import('../train/trainer.js').T;"],
])('%s from a higher part is refused', async (_, text) => {
  const findings = await lint({ 'src/nn/layer.ts': text, 'src/train/trainer.ts': 'export const t = 1;' });
  expect(findings).toEqual(["src/nn/layer.ts: 'nn' imports from 'train', which stands above it on the import ladder"]);
});

test('the lowest part, a single file, may not import a folder', async () => {
  const findings = await lint({ 'src/errors.ts': "export * from './files/tensor.js';", 'src/files/tensor.ts': '' });
  expect(findings).toEqual([
    "src/errors.ts: 'errors' imports from 'files', which stands above it on the import ladder",
  ]);
});

test('a part that the ladder does not know is refused', async () => {
  const findings = await lint({ 'src/utils/misc.ts': 'export const u = 1;' });
  expect(findings).toEqual([expect.stringMatching(/^src\/utils\/misc\.ts: 'utils' has no place on the import ladder/)]);
});

test('an import that leaves src/ is refused', async () => {
  const findings = await lint({ 'src/nn/layer.ts': "export * from '../../test/helper.js';" });
  expect(findings).toEqual(["src/nn/layer.ts: 'nn' imports '../../test/helper.js', which lies outside src/"]);
});

test('a circle within a part is refused', async () => {
  const findings = await lint({
    'src/nn/a.ts': "import { b } from './b.js';\nexport const a = () => b;",
    'src/nn/b.ts': "import { c } from './c.js';\nexport const b = () => c;",
    'src/nn/c.ts': "import { a } from './a.js';\nexport const c = () => a;",
  });
  expect(findings).toHaveLength(3);
  expect(findings.join()).toMatch(/Dependency cycle/);
});

test('tests may import what they run', async () => {
  const findings = await lint({
    'src/nn/layer.test.ts': "import '../train/trainer.js';",
    'src/train/trainer.ts': 'export const t = 1;',
  });
  expect(findings).toEqual([]);
});

test('every part of src/ has its place on the ladder', async () => {
  const entries = await readdir(path.join(repository, 'src'));
  const parts = entries.filter((name) => !name.endsWith('.test.ts')).map((name) => name.replace(/\.ts$/, ''));
  expect(parts.filter((part) => !LADDER.includes(part))).toEqual([]);
});
