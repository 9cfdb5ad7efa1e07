import { expect, test } from 'vitest';
import { embeddedJson, escapeHtml } from './html.js';

test('text is no markup', () => {
  expect(escapeHtml(`<a href="x" id='y'>&`)).toBe('&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;');
});

test('embedded JSON cannot end its element, and says the same', () => {
  const value = { name: '</script><!--<script>', lines: '\u2028\u2029', list: [1, null] };
  const text = embeddedJson(value);
  expect(text).not.toMatch(/[<\u2028\u2029]/);
  expect(JSON.parse(text)).toEqual(value);
});
