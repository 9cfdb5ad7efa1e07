/** Type-checked linting of the sources, and the order of their imports. */
import js from '@eslint/js';
import tseslint from 'typescript-eslint';
import { importRules } from './eslint.ladder.js';

export default tseslint.config(
  { ignores: ['dist/', 'coverage/', 'runs/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  {
    files: ['**/*.js'],
    languageOptions: {
      globals: {
        Buffer: 'readonly',
        URL: 'readonly',
        console: 'readonly',
        process: 'readonly',
        performance: 'readonly',
      },
    },
  },
  {
    // Scripts of pages; they find each other's functions in `globalThis.hpff`.
    files: ['assets/**/*.js'],
    languageOptions: {
      sourceType: 'script',
      globals: Object.fromEntries(
        ['document', 'getComputedStyle', 'matchMedia', 'ResizeObserver'].map((name) => [name, 'readonly']),
      ),
    },
  },
  {
    files: ['examples/browser/*.js'],
    languageOptions: {
      globals: Object.fromEntries(
        [
          ...['AbortController', 'Blob', 'DecompressionStream', 'Response', 'Worker'],
          ...['crossOriginIsolated', 'document', 'fetch', 'name', 'navigator', 'onmessage', 'postMessage'],
        ].map((name) => [name, name === 'onmessage' ? 'writable' : 'readonly']),
      ),
    },
  },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // An asynchronous interface may have an implementation with nothing to wait for.
      '@typescript-eslint/require-await': 'off',
    },
  },
  ...importRules,
);
