import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { hpff, Capture } from '../../test/cli.js';
import { RunError } from '../errors.js';
import { recipeJsonSchema } from '../recipe/index.js';
import { newCommand } from './command.js';
import { reportError } from './report-error.js';

const recipe = path.join(import.meta.dirname, '../../graphs/digits-hpff.json');
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'hpff-cli-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

async function file(name: string, text: string): Promise<string> {
  const at = path.join(folder, name);
  await writeFile(at, text);
  return at;
}

test('check says that a recipe is valid', async () => {
  const { code, stdout, stderr } = await hpff('check', recipe);
  expect(stdout).toMatch(/^digits-hpff: valid\nhash [0-9a-f]{64}\n$/);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

test('check --json writes one document; warnings stand in it and on stderr', async () => {
  const text = (await readFile(recipe, 'utf8')).replace('"modules": 4', '"modules": 2');
  const { code, stdout, stderr } = await hpff('check', '--json', await file('two.json', text));
  expect(code).toBe(0);
  const warning = expect.stringContaining('plain back-propagation') as string;
  expect(JSON.parse(stdout)).toMatchObject({
    valid: true,
    name: 'digits-hpff',
    warnings: [warning],
    recipe: { split: { modules: 2 } },
  });
  expect(stderr).toMatch(/^hpff: warning: local\.hierarchy: .*\n$/);
});

test.each([
  ['"classes": 10', '"classes": 9', 'DATA_CLASSES: network.classes: found 9, allowed: 10, as digits has'],
  ['"image": [1, 8, 8]', '"image": [1, 16, 16]', 'DATA_IMAGE_MISMATCH: images of digits are [1, 8, 8]'],
  ['"batch": 64', '"batch": 1438', 'DATA_BATCH: data.batch is 1438; allowed: 1 to 1437, the images of digits'],
])('check holds the recipe against its data set: %s → %s', async (found, put, message) => {
  const text = await readFile(recipe, 'utf8');
  expect(text).toContain(found);
  const { code, stderr } = await hpff('check', await file('changed.json', text.replace(found, put)));
  expect(code).toBe(2);
  expect(stderr).toContain(message);
});

test('schema prints the JSON Schema, indented or on one line', async () => {
  const plain = await hpff('schema');
  const json = await hpff('schema', '--json');
  expect(JSON.parse(plain.stdout)).toEqual(recipeJsonSchema());
  expect(JSON.parse(json.stdout)).toEqual(recipeJsonSchema());
  expect(json.stdout.trimEnd()).not.toContain('\n');
});

test.each<[string[], string]>([
  [[], 'hpff: USAGE: missing command, allowed: check, inspect, '],
  [['chekc'], "hpff: USAGE: unknown command 'chekc' (Did you mean check?)"],
  [['help', 'chekc'], 'hpff: USAGE: help: found "chekc", allowed: check, inspect, '],
  [['check'], "hpff: USAGE: missing required argument 'recipe'"],
  [['check', 'a', 'b'], 'hpff: USAGE: too many arguments'],
  [['check', ''], "hpff: USAGE: recipe: found '', allowed: the name of a file or folder\n"],
  [['compare', recipe, '', '-o', 'x'], "hpff: USAGE: recipes: found '', allowed: the name of a file or folder\n"],
  [['train', recipe, '-o', ''], "hpff: USAGE: --output: found '', allowed: <run>\n"],
  [['train', recipe, '-o', 'x', '--trace', ''], "hpff: USAGE: --trace: found '', allowed: <file>\n"],
  [['check', recipe, '--jsn'], "hpff: USAGE: unknown option '--jsn' (Did you mean --json?)"],
  [['--jsn'], "hpff: USAGE: unknown option '--jsn'"],
  [['--json', 'check', recipe], "hpff: USAGE: unknown option '--json'"],
  [['check', path.join(recipe, 'x')], 'hpff: FILE_UNREADABLE: '],
  [['check', 'no\nsuch'], 'hpff: FILE_MISSING: no\\u{a}such: '],
])('%j is refused with exit code 2 and one line', async (args, line) => {
  const { code, stdout, stderr } = await hpff(...args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(/^[^\n]+\n$/);
  expect(stderr.slice(0, line.length)).toBe(line);
});

test('everything that is wrong with a recipe has a line of its own and exit code 2; with --json also one document', async () => {
  const text = (await readFile(recipe, 'utf8'))
    .replace('"batch": 64', '"batch": 0')
    .replace('"seed": 1', '"seed": -1, "sead": 1');
  const at = await file('bad.json', text);
  const messages = [
    `${at}: data.batch: found 0, allowed: an integer from 1 to 65536`,
    `${at}: seed: found -1, allowed: an integer from 0 to 4294967295`,
    expect.stringMatching(/: sead: unknown key, allowed: /) as string,
  ];
  const plain = await hpff('check', at);
  const json = await hpff('check', at, '--json');
  expect(plain).toMatchObject({ code: 2, stdout: '', stderr: json.stderr });
  const lines = plain.stderr.split('\n').slice(0, -1);
  expect(lines.map((line) => line.replace('hpff: RECIPE_INVALID: ', ''))).toEqual(messages);
  expect(json.code).toBe(2);
  expect(JSON.parse(json.stdout)).toEqual({
    valid: false,
    errors: messages.map((message) => ({ code: 'RECIPE_INVALID', message })),
  });
});

test('what does not fit the data set is told all together', async () => {
  const text = (await readFile(recipe, 'utf8'))
    .replace('"classes": 10', '"classes": 9')
    .replace('"batch": 64', '"batch": 1438');
  const { code, stdout, stderr } = await hpff('check', await file('bad.json', text), '--json');
  expect({ code, codes: stderr.match(/[A-Z]+_[A-Z]+/g) }).toEqual({ code: 2, codes: ['DATA_CLASSES', 'DATA_BATCH'] });
  expect(JSON.parse(stdout)).toMatchObject({ errors: [{ code: 'DATA_CLASSES' }, { code: 'DATA_BATCH' }] });
});

test('other commands refuse a bad recipe in one line, with nothing on stdout', async () => {
  const at = await file('bad.json', (await readFile(recipe, 'utf8')).replace('"batch": 64', '"batch": 0'));
  expect(await hpff('inspect', at, '--json')).toEqual({
    code: 2,
    stdout: '',
    stderr: `hpff: RECIPE_INVALID: ${at}: data.batch: found 0, allowed: an integer from 1 to 65536\n`,
  });
});

test.each([[['--help']], [['help']], [['check', '--help']], [['schema', '-h']], [['help', 'check']]])(
  '%j prints help on stdout',
  async (args) => {
    const { code, stdout, stderr } = await hpff(...args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^Usage: hpff/);
  },
);

test('--version prints the version of the package', async () => {
  const { version } = JSON.parse(await readFile(path.join(import.meta.dirname, '../../package.json'), 'utf8')) as {
    version: string;
  };
  expect(await hpff('--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
});

test('every command has the common options', () => {
  const command = newCommand(new Command(), 'x <y>', 'does x');
  expect(command.options.map((option) => option.long)).toEqual(['--json']);
});

test('more threads than cores are warned of', async () => {
  const cores = availableParallelism();
  const refused = ['bench', path.join(folder, 'none.json'), '--threads'];
  expect((await hpff(...refused, String(cores + 1))).stderr.split('\n')).toEqual([
    `hpff: warning: --threads: found ${cores + 1}, but there are ${cores} cores: steps may take longer`,
    expect.stringMatching(/^hpff: FILE_MISSING/),
    '',
  ]);
  expect((await hpff(...refused, String(cores))).stderr).toMatch(/^hpff: FILE_MISSING/);
});

test.each<[unknown, number, string]>([
  [new RunError('DIVERGED', 'loss is NaN'), 1, 'hpff: DIVERGED: loss is NaN\n'],
  [new TypeError('x is\nnot a function'), 1, 'hpff: internal error: x is\\u{a}not a function\n'],
  ['text', 1, 'hpff: internal error: text\n'],
  [
    Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO', syscall: 'read' }),
    1,
    'hpff: SYSTEM: EIO: i/o error, read\n',
  ],
])('reports %s with exit code %i', (error, code, text) => {
  const stderr = new Capture();
  expect(reportError(error, stderr)).toBe(code);
  expect(stderr.text).toBe(text);
});

test('HPFF_DEBUG=1 adds the stack', () => {
  vi.stubEnv('HPFF_DEBUG', '1');
  const stderr = new Capture();
  reportError(new TypeError('oh'), stderr);
  expect(stderr.text).toMatch(/^hpff: internal error: oh\nTypeError: oh\n +at /);
});

test.each([
  ['portable', /^lowering portable: asked for\n$/],
  // Where the blocked kernels do not work, asking for them is refused with the reason.
  [
    'blocked',
    /^(?:lowering blocked: asked for; the self-test passed with blocks of \d+ channels|hpff: LOWERING_UNAVAILABLE: .*)\n$/,
  ],
])('--verbose says which lowering is used, and why: %s', async (lowering, line) => {
  const out = path.join(folder, 'artifacts');
  const { stderr } = await hpff('build', recipe, '-o', out, '--lowering', lowering, '--verbose');
  expect(stderr).toMatch(line);
});
