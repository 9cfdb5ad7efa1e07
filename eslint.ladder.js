/**
 * The import ladder: each part of src/ stands only on the parts below it. One ordered list, and an ESLint rule that holds
 * every import to it, type imports included. Circles between parts are thereby impossible; `import-x/no-cycle` finds
 * those within a part.
 */
import path from 'node:path';
import { createNodeResolver, importX } from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

/** Parts of src/ (folders, and files at its root without their extension), lowest first. */
export const LADDER = [
  'errors',
  'random',
  'version',
  'others-turn',
  'files',
  'recipe',
  'onnx',
  'graph',
  'grad',
  'lower',
  'nn',
  'networks',
  'local',
  'artifacts',
  'weights',
  'runtime',
  'export',
  'data',
  'pipeline',
  'cluster',
  'bench',
  'train',
  'report',
  'compare',
  'cli',
  'index',
  'node',
  'web',
];

/**
 * @param {string} source absolute path of src/
 * @param {string} file absolute path of a file
 * @returns {string | null} the part of src/ that the file belongs to; null outside src/
 */
function partOf(source, file) {
  const relative = path.relative(source, file);
  if (relative.startsWith('..') || path.isAbsolute(relative)) return null;
  return relative.split(path.sep)[0].replace(/\.[jt]s$/, '');
}

/** @type {import('eslint').Rule.RuleModule} */
const ladderRule = {
  meta: {
    type: 'problem',
    schema: [],
    messages: {
      unknown: "'{{part}}' has no place on the import ladder: add it to the list in eslint.ladder.js",
      outside: "'{{part}}' imports '{{specifier}}', which lies outside src/",
      upward: "'{{part}}' imports from '{{imported}}', which stands above it on the import ladder",
    },
  },
  create(context) {
    const source = path.join(context.cwd, 'src');
    const part = partOf(source, context.filename);
    if (part === null) return {};

    function check(node) {
      const specifier = node?.value;
      if (typeof specifier !== 'string' || !specifier.startsWith('.')) return;
      const imported = partOf(source, path.resolve(path.dirname(context.filename), specifier));
      if (imported === null) context.report({ node, messageId: 'outside', data: { part, specifier } });
      else if (!LADDER.includes(imported)) context.report({ node, messageId: 'unknown', data: { part: imported } });
      else if (LADDER.indexOf(imported) > LADDER.indexOf(part)) {
        context.report({ node, messageId: 'upward', data: { part, imported } });
      }
    }

    return {
      Program(node) {
        if (!LADDER.includes(part)) context.report({ node, messageId: 'unknown', data: { part } });
      },
      ImportDeclaration: (node) => check(node.source),
      ExportNamedDeclaration: (node) => check(node.source),
      ExportAllDeclaration: (node) => check(node.source),
      ImportExpression: (node) => check(node.source),
      TSImportType: (node) => check(node.source),
    };
  },
};

/** ESLint configuration of the imports in src/. @type {import('eslint').Linter.Config[]} */
export const importRules = [
  {
    files: ['src/**/*.ts'],
    languageOptions: { parser: /** @type {any} */ (tseslint.parser) },
    plugins: { 'import-x': /** @type {any} */ (importX), hpff: { rules: { ladder: ladderRule } } },
    settings: {
      'import-x/extensions': ['.ts'],
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts'] },
      'import-x/resolver-next': [createNodeResolver({ extensions: ['.ts'], extensionAlias: { '.js': ['.ts'] } })],
    },
    rules: { 'import-x/no-cycle': ['error', { ignoreExternal: true }], 'hpff/ladder': 'error' },
  },
  {
    // Tests may import anything: a gradient rule is proved by running it.
    files: ['src/**/*.test.ts'],
    rules: { 'hpff/ladder': 'off' },
  },
];
