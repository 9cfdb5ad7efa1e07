/** The example of a page that trains: built as its users build theirs, and run in a browser. */
import { isBuiltin } from 'node:module';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import ts from 'typescript';
import { build, type InlineConfig, type Plugin, preview } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluateModel } from '../src/train/index.js';
import { chromium, Page } from './support/browser.js';

const root = mkdtempSync(path.join(tmpdir(), 'hpff-page-'));
const outDir = path.join(root, 'page');
/** Modules of Node that are asked for; Vite would put empty ones in their place. */
const nodeModules: string[] = [];

const noted: Plugin = {
  name: 'modules of Node',
  enforce: 'pre',
  resolveId(source, importer) {
    if (isBuiltin(source)) nodeModules.push(`${source}, by ${importer}`);
  },
};

const vite: InlineConfig = {
  configFile: path.join(import.meta.dirname, '../examples/browser/vite.config.js'),
  logLevel: 'error',
  build: { outDir },
  plugins: [noted],
  // What is in src/ now, not what was built last.
  resolve: { alias: { 'hpff/web': path.join(import.meta.dirname, '../src/web.ts') } },
  worker: { format: 'es', plugins: () => [noted] },
};

beforeAll(async () => void (await build(vite)), 120_000);
afterAll(() => rmSync(root, { recursive: true }));

test('nothing of Node is in what browsers load', () => {
  const scripts = readdirSync(path.join(outDir, 'assets')).filter((file) => file.endsWith('.js'));
  const worker = scripts.find((file) => file.startsWith('worker'))!;
  const text = readFileSync(path.join(outDir, 'assets', worker), 'utf8');
  expect(nodeModules).toEqual([]);
  expect(text).toContain('LOSS_NOT_FINITE'); // it is hpff that was looked at
  expect(text).not.toMatch(/\bBuffer\.(from|concat|alloc)/);
  expect(text.length).toBeLessThan(600_000);
});

test('nothing of Node is in the types that it shows', () => {
  const src = path.join(import.meta.dirname, '../src');
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const { fileName } of ts.preProcessFile(readFileSync(file, 'utf8')).importedFiles) {
      expect(isBuiltin(fileName), `${file}: ${fileName}`).toBe(false);
      if (fileName.startsWith('.')) visit(path.resolve(path.dirname(file), fileName.replace(/\.js$/, '.ts')));
    }
  };
  visit(path.join(src, 'web.ts'));
  expect(seen).toContain(path.join(src, 'runtime/web/runtime.ts'));
});

describe.skipIf(chromium === undefined)('in a browser (needs chromium)', () => {
  /** Opens the page, presses the button, and closes all in the end. */
  async function whileTraining(use: (page: Page) => Promise<void>): Promise<void> {
    const server = await preview({ ...vite, preview: { port: 0 } });
    try {
      const page = await Page.open(server.resolvedUrls!.local[0]!);
      try {
        await page.evaluate("document.getElementById('start').click()");
        await use(page);
      } finally {
        await page.close();
      }
    } finally {
      await server.close();
    }
  }

  const textOf = (id: string): string => `document.getElementById('${id}').textContent`;
  const outcome = 'document.documentElement.dataset.outcome';
  const model = `fetch(document.getElementById('model').href)
    .then((response) => response.arrayBuffer())
    .then((buffer) => [...new Uint8Array(buffer)])`;

  test('the page trains, and offers a model that scores as well in Node', async () => {
    await whileTraining(async (page) => {
      const accuracy = Number(await page.until(outcome, 180_000));
      expect(accuracy).toBeGreaterThan(0.95);
      expect(await page.evaluate(textOf('step'))).toMatch(/^step 220 of 220, loss \d+\.\d+, \d+ images\/s$/);
      expect(((await page.evaluate(textOf('epochs'))) as string).match(/^epoch \d+: accuracy/gm)).toHaveLength(10);
      const file = path.join(root, 'digits.onnx');
      writeFileSync(file, Uint8Array.from((await page.evaluate(model)) as number[]));
      const found = await evaluateModel(file, { threads: 1 });
      expect(found).toMatchObject({ images: 360 });
      // A score within rounding of another may win on the other kernels.
      expect(Math.abs(found.accuracy - accuracy)).toBeLessThanOrEqual(1 / 360);
    });
  }, 240_000);

  test('it stops when it is asked to, with a model of what it has come to', async () => {
    await whileTraining(async (page) => {
      await page.until(`/^step [3-9] /.test(${textOf('step')})`, 60_000);
      await page.evaluate("document.getElementById('stop').click()");
      expect(await page.until(outcome, 20_000)).toBe('stopped');
      const [, step] = /^step (\d+) of 220/.exec((await page.evaluate(textOf('step'))) as string)!;
      expect(Number(step)).toBeLessThan(60);
      expect(await page.evaluate("document.getElementById('model').hidden")).toBe(false);
    });
  }, 120_000);
});
