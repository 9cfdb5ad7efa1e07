/** What the README says must be true: its recipe is the file, its first program runs, its links lead somewhere. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import * as ort from 'onnxruntime-web/wasm';
import ts from 'typescript';
import { expect, test } from 'vitest';
import * as hpff from '../src/index.js';
import * as node from '../src/node.js';
import * as web from '../src/web.js';
import { checkModel } from '../src/onnx/check.js';
import { decodeModel } from '../src/onnx/decode.js';
import { parseRecipe } from '../src/recipe/index.js';

const AsyncFunction = (async () => {}).constructor as new (
  ...texts: string[]
) => (...values: unknown[]) => Promise<Uint8Array>;

const root = path.join(import.meta.dirname, '..');
const readme = readFileSync(path.join(root, 'README.md'), 'utf8');

/** Code blocks of a language. */
function blocks(language: string): string[] {
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms'))].map((match) => match[1]!);
}

/** Names that a program imports from a module. */
function imported(program: string, module: string): string[] {
  const match = new RegExp(`import \\{([^}]*)\\} from '${module}'`).exec(program);
  return (match?.[1] ?? '').split(',').flatMap((name) => name.trim() || []);
}

test('the first recipe is that of the quick start', () => {
  const file = path.join(root, 'graphs/digits-hpff.json');
  const shown = parseRecipe(JSON.parse(blocks('json')[0]!), file);
  expect(shown).toEqual(parseRecipe(JSON.parse(readFileSync(file, 'utf8')), file));
});

test('the first program makes a valid model', () => {
  const [program] = blocks('ts');
  const body = ts
    .transpile(program!, { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext })
    .replace(/^import .*$/m, '');
  const names = imported(program!, 'hpff');
  // eslint-disable-next-line @typescript-eslint/no-implied-eval
  const run = new Function(...names, `${body}; return bytes;`) as (...values: unknown[]) => Uint8Array;
  const bytes = run(...names.map((name) => (hpff as Record<string, unknown>)[name]));
  const model = decodeModel(bytes, 'README');
  checkModel(model);
  expect(model.graph.outputs.map(({ name }) => name)).toEqual(['loss', 'gradient']);
});

test('programs import what is there', () => {
  for (const program of blocks('ts')) {
    for (const name of imported(program, 'hpff')) expect(hpff).toHaveProperty(name);
    for (const name of imported(program, 'hpff/node')) expect(node).toHaveProperty(name);
  }
});

test('the program of docs/browser.md trains', async () => {
  const page = readFileSync(path.join(root, 'docs/browser.md'), 'utf8');
  const [, program] = /^```js\n(.*?)^```/ms.exec(page)!;
  const body = program!.replaceAll(/^import .*$/gm, '');
  const told: string[] = [];
  const given = { ort, console: { log: (line: string) => told.push(line) } };
  const names = imported(program!, 'hpff/web');

  const run = new AsyncFunction(...Object.keys(given), ...names, `${body}; return model;`);
  ort.env.wasm.numThreads = 1;
  const model = await run(...Object.values(given), ...names.map((name) => (web as Record<string, unknown>)[name]));
  expect(decodeModel(model, 'page').graph.outputs.map(({ name }) => name)).toEqual(['logits']);
  expect(told).toHaveLength(50 + 5);
  expect(told.at(-1)).toMatch(/^epoch 5: accuracy 0\.\d+$/);
});

test('links to files lead somewhere', () => {
  const links = [...readme.matchAll(/\]\(([^)#:]+)\)/g)].map((match) => match[1]!);
  expect(links.length).toBeGreaterThan(10);
  for (const link of links) expect(existsSync(path.join(root, link)), link).toBe(true);
});

test('every command of the table exists, and every command is in it', async () => {
  const shown = [...readme.matchAll(/^\| `hpff (\w+)/gm)].map((match) => match[1]!).sort();
  const { hpff: run } = await import('./cli.js');
  const { stdout } = await run('--help');
  const existing = [...stdout.matchAll(/^ {2}(\w+) .*$/gm)].map((match) => match[1]!);
  expect(shown).toEqual(existing.filter((name) => name !== 'help').sort());
});
