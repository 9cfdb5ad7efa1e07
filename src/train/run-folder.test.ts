import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { refuseRunFile } from './run-folder.js';

let root: string;
let run: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'hpff-run-'));
  run = path.join(root, 'run');
  mkdirSync(path.join(run, 'checkpoints/12'), { recursive: true });
  writeFileSync(path.join(run, 'metrics.jsonl'), '');
});
afterEach(() => rmSync(root, { recursive: true }));

describe('refuseRunFile', () => {
  it.each(['metrics.jsonl', 'recipe.json', 'latest', 'sessions.jsonl', 'lock', 'checkpoints', 'checkpoints/12/new'])(
    'refuses %s of the run',
    async (name) => {
      await expect(refuseRunFile(run, path.join(run, name))).rejects.toMatchObject({ code: 'OUTPUT_IN_RUN' });
    },
  );

  it('refuses them under other names', async () => {
    symlinkSync(run, path.join(root, 'link'));
    symlinkSync(path.join(run, 'metrics.jsonl'), path.join(root, 'page.html'));
    for (const file of ['link/latest', 'page.html', 'run/../run/metrics.jsonl']) {
      await expect(refuseRunFile(run, path.join(root, file))).rejects.toMatchObject({ code: 'OUTPUT_IN_RUN' });
    }
    await expect(refuseRunFile(path.join(root, 'link'), path.join(run, 'latest'))).rejects.toMatchObject({
      code: 'OUTPUT_IN_RUN',
    });
  });

  it('refuses the recipe that a model is made from', async () => {
    const recipe = path.join(root, 'recipe.json');
    writeFileSync(recipe, '{}');
    await expect(refuseRunFile(recipe, recipe)).rejects.toMatchObject({ code: 'OUTPUT_IN_RUN' });
    await refuseRunFile(recipe, path.join(root, 'model.onnx'));
  });

  it('lets pages and models lie beside them, in the run folder or elsewhere', async () => {
    for (const file of ['run/report.html', 'run/model.onnx', 'metrics.jsonl', 'nowhere/at/all.html']) {
      await refuseRunFile(run, path.join(root, file));
    }
  });
});
