/** The sources as plain JavaScript, for tests that start processes of their own. Types are not checked here. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

const repository = path.join(import.meta.dirname, '..');

export interface Transpiled {
  /** A folder that holds `src`, `test` and the program `hpff.js`, inside the repository: its packages are found from there. */
  readonly folder: string;
  remove(): void;
}

/** Transpiles `src` and the helpers in `test`. */
export function transpileSources(): Transpiled {
  const cache = path.join(repository, 'node_modules/.cache');
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(path.join(cache, 'hpff-'));
  writeFileSync(path.join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(path.join(folder, 'hpff.js'), `import { main } from './src/cli/main.js'; await main();`);
  symlinkSync(path.join(repository, 'assets'), path.join(folder, 'assets'));
  for (const file of [...sources('src'), ...sources('test')]) {
    const target = path.join(folder, file.replace(/\.ts$/, '.js'));
    mkdirSync(path.dirname(target), { recursive: true });
    writeFileSync(target, javascript(readFileSync(path.join(repository, file), 'utf8')));
  }
  return { folder, remove: () => rmSync(folder, { recursive: true }) };
}

function sources(part: string): string[] {
  return readdirSync(path.join(repository, part), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => path.join(part, file));
}

function javascript(source: string): string {
  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true };
  return ts.transpileModule(source, { compilerOptions }).outputText;
}
