/** A self-contained page: styles, scripts and data stand in it, and it may load nothing else. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { version } from '../version.js';
import { embeddedJson, escapeHtml } from './html.js';

/** The same from src/report/ and from dist/report/. */
const assets = fileURLToPath(new URL('../../assets/report/', import.meta.url));

export interface Page {
  /** Plain text. */
  readonly title: string;
  /** HTML of the body. */
  readonly body: string;
  /** What the scripts find as the content of `#data`. */
  readonly data: unknown;
  /** Names of files in assets/report/, in the order in which they run after uPlot. */
  readonly scripts: readonly string[];
}

/** Scripts and styles may be inline only; nothing is fetched. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

export async function renderPage({ title, body, data, scripts }: Page): Promise<string> {
  const uplot = await readUplot();
  const style = await readAsset('style.css');
  const sources = await Promise.all(scripts.map(readAsset));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="hpff ${version}">
<title>${escapeHtml(title)}</title>
<style>
${uplot.style}
${style}
</style>
</head>
<body>
${body}
<script type="application/json" id="data">${embeddedJson(data)}</script>
<!-- uPlot:
${uplot.licence.replaceAll('--', '- -')}
-->
<script>${uplot.script}</script>
${sources.map((source) => `<script>\n${source}</script>`).join('\n')}
</body>
</html>
`;
}

const readAsset = (name: string): Promise<string> => readFile(path.join(assets, name), 'utf8');

async function readUplot(): Promise<{ script: string; style: string; licence: string }> {
  const folder = path.dirname(createRequire(import.meta.url).resolve('uplot/package.json'));
  const read = (name: string): Promise<string> => readFile(path.join(folder, name), 'utf8');
  return {
    script: await read('dist/uPlot.iife.min.js'),
    style: await read('dist/uPlot.min.css'),
    licence: await read('LICENSE'),
  };
}
